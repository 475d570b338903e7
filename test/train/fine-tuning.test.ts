/** Continuing a checkpoint: the trainer begins with exactly its weights, and conversations are read, packed and held out as they should. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { templateFormat } from '../../src/chat/formats/template.ts'
import { loadFolder } from '../../src/checkpoint/load.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { readLogits } from '../../src/engine/read-logits.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { conversationData, readConversations } from '../../src/train/data/conversations.ts'
import { pack } from '../../src/train/data/pack.ts'
import { openStart } from '../../src/train/start-node.ts'
import { inlineWorkers } from '../../src/train/workers.ts'
import { byteTokenizer, qwenSpecials } from '../chat/byte-tokenizer.ts'

const checkpoint = (name: string) => fileURLToPath(new URL(`../fixtures/checkpoints/${name}`, import.meta.url))
const families = ['gpt2', 'gpt-oss', 'qwen2', 'qwen3', 'qwen3-moe', 'llama', 'mistral', 'mixtral', 'gemma', 'gemma2', 'gemma3']
const further = ['olmo', 'olmo2', 'olmo3', 'smollm3', 'phi4', 'phi4-mini', 'granite', 'pythia']

describe('the loss before the first step is that of the checkpoint', () => {
  const ids = Int32Array.from({ length: 41 }, (_, i) => (i * i * 7 + 3 * i) % 512)
  const example = pack([
    { ids, rows: 24, counts: () => true },
    { ids: ids.subarray(20), rows: 20, counts: (row) => row % 3 !== 0 },
  ])
  for (const name of [...families, ...further])
    test(name, async () => {
      const folder = await fileFolder(checkpoint(`tiny-${name}`))
      const start = await openStart(folder)
      const workers = inlineWorkers(start.architecture, { shards: 1, arenaBytes: 64 << 20, seed: 1 })
      await start.fill(workers.layout, workers.values)
      const { loss, rows } = await workers.evaluate([example])
      const backend = createReferenceBackend()
      const { architecture, weights } = await loadFolder(folder, backend)
      const V = architecture.vocabSize
      const logits = await readLogits({ backend, architecture, weights }, example.batch, { logitRows: example.rows })
      let expected = 0
      example.targets.forEach((target, r) => {
        const z = Float64Array.from(logits.subarray(r * V, (r + 1) * V))
        const top = Math.max(...z)
        expected += top + Math.log(z.reduce((sum, one) => sum + Math.exp(one - top), 0)) - z[target]!
      })
      assert.ok(Math.abs(loss - expected) / rows < 1e-6, `${loss / rows} against ${expected / rows}`)
    })
})

const tokenizer = byteTokenizer(qwenSpecials)
const chatTemplate =
  '{% for m in messages %}<|im_start|>{{ m.role }} {{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant {% endif %}'
const format = templateFormat(tokenizer, { chatTemplate, eosTokenIds: [tokenizer.specials.get('<|im_end|>')!] })
const line = (question: string, answer: string) =>
  JSON.stringify({
    messages: [
      { role: 'user', content: question },
      { role: 'assistant', content: answer },
    ],
  })

describe('conversations', () => {
  const sizes = { block: 80, batch: 3, parts: 2, seed: 1 }
  const lines = Array.from({ length: 40 }, (_, i) => line(`q${i}`, `answer ${i}`))

  test('every sequence of a pass comes once, packs are full and nothing held out is trained on', () => {
    const data = conversationData(readConversations(lines.join('\n'), 'x.jsonl'), format, tokenizer, sizes)
    assert.deepEqual(data.counts, { training: 36, heldOut: 4, tooLong: 0 })
    const answersOf = (examples: ReturnType<typeof data.examples>) =>
      examples.flatMap(({ targets }) => tokenizer.decode(targets).split('<|im_end|>').slice(0, -1))
    const seen: string[] = []
    for (let step = 1; seen.length < 36; step++) {
      const examples = data.examples(step)
      assert.deepEqual(examples, data.examples(step))
      seen.push(...answersOf(examples))
    }
    assert.equal(new Set(seen.slice(0, 36)).size, 36)
    const held = answersOf(data.evaluation())
    assert.deepEqual(held, ['answer 36', 'answer 37', 'answer 38', 'answer 39'])
    assert.ok(seen.every((one) => !held.includes(one)))
  })

  test('the rows that count predict the answer from what stands before it', () => {
    const data = conversationData(readConversations(`${lines[0]}\n\n${lines[1]}\n`, 'x.jsonl'), format, tokenizer, sizes)
    const [{ batch, rows, targets }] = data.examples(1) as [ReturnType<typeof data.examples>[0]]
    assert.ok(tokenizer.decode(targets).startsWith('answer 0<|im_end|>'))
    assert.equal(tokenizer.decode(batch.ids.subarray(0, rows[0]! + 1)), '<|im_start|>user q0<|im_end|><|im_start|>assistant ')
    batch.positions.forEach((position, t) => {
      assert.equal(position === 0, t === 0 || batch.slots[t] !== batch.slots[t - 1])
    })
  })

  test('what is too long is counted, and too few is an error', () => {
    const long = line('q', 'x'.repeat(500))
    const data = conversationData(readConversations([...lines, long].join('\n'), 'x.jsonl'), format, tokenizer, sizes)
    assert.equal(data.counts.tooLong, 1)
    const few = readConversations([lines[0], long].join('\n'), 'x.jsonl')
    assert.throws(() => conversationData(few, format, tokenizer, sizes), /too few: one is held out.*1 are longer than --block 80/)
  })

  const wrong: [line: string, message: RegExp][] = [
    ['{', /x\.jsonl:2: expected one JSON object per line/],
    ['[]', /x\.jsonl:2: .*expected a JSON object/],
    ['{}', /x\.jsonl:2: messages: missing/],
    ['{"messages": [{"role": "user", "content": "a"}]}', /x\.jsonl:2: messages: expected an answer of the assistant/],
    ['{"messages": [{"role": "robot", "content": "a"}]}', /x\.jsonl:2: messages\[0\]\.role: expected "system" or/],
    ['{"messages": [{"role": "user"}]}', /x\.jsonl:2: messages\[0\]\.content: missing/],
    ['{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', /messages\[0\]\.content\[0\]\.type/],
    ['{"messages": [{"role": "assistant", "content": "a", "weight": 0}]}', /expected an answer of the assistant to learn from/],
    ['{"messages": [{"role": "assistant", "content": "a"}], "reasoning_effort": "much"}', /reasoning_effort/],
    [
      '{"messages": [{"role": "assistant", "content": "a"}], "tools": [{"type": "function", "function": {}}]}',
      /tools\[0\]\.function\.name/,
    ],
    ['{"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]}', /tool_calls\[0\]\.function: missing/],
  ]
  for (const [second, message] of wrong)
    test(`refused: ${message.source}`, () => assert.throws(() => readConversations(`${lines[0]}\n${second}`, 'x.jsonl'), message))

  test('reasoning, calls with arguments as an object, and results are read', () => {
    const [read] = readConversations(
      JSON.stringify({
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'a' },
              { type: 'text', text: 'b' },
            ],
          },
          {
            role: 'assistant',
            content: null,
            reasoning_content: 'r',
            tool_calls: [{ id: '1', type: 'function', function: { name: 'f', arguments: { x: 1 } } }],
          },
          { role: 'tool', tool_call_id: '1', content: 'c' },
          { role: 'assistant', content: 'd', thinking: 's' },
        ],
        tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
        reasoning_effort: 'low',
      }),
      'x.jsonl',
    )
    assert.deepEqual(read!.messages, [
      { role: 'user', content: 'ab', name: undefined },
      {
        role: 'assistant',
        content: [
          { type: 'reasoning', text: 'r' },
          { type: 'tool-call', id: '1', name: 'f', arguments: '{"x":1}' },
        ],
      },
      { role: 'tool', content: 'c', toolCallId: '1', name: undefined },
      {
        role: 'assistant',
        content: [
          { type: 'reasoning', text: 's' },
          { type: 'text', text: 'd', phase: undefined },
        ],
      },
    ])
    assert.equal(read!.options.thinking, 'low')
    assert.equal(read!.options.tools![0]!.name, 'f')
  })
})
