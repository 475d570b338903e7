/** What a model learns of a conversation: the prompt is that of inference, and exactly the answers count. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { formatFor } from '../../src/chat/formats/format.ts'
import { harmonyFormat } from '../../src/chat/formats/harmony/harmony.ts'
import { plainFormat } from '../../src/chat/formats/plain.ts'
import { qwenFormat } from '../../src/chat/formats/qwen/qwen.ts'
import { templateFormat } from '../../src/chat/formats/template.ts'
import type { ChatFormat, Message, RenderOptions } from '../../src/chat/messages.ts'
import { lessonsOf, turnOf } from '../../src/chat/training.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'
import { byteTokenizer, harmonySpecials, qwenSpecials } from './byte-tokenizer.ts'

const user = (content: string): Message => ({ role: 'user', content })
const answer = (text: string, reasoning?: string): Message => ({
  role: 'assistant',
  content: [...(reasoning === undefined ? [] : [{ type: 'reasoning' as const, text: reasoning }]), { type: 'text', text }],
})
const call: Message = {
  role: 'assistant',
  content: [
    { type: 'reasoning', text: 'Look it up.' },
    { type: 'tool-call', id: '1', name: 'tide', arguments: '{"harbour": "Calais"}' },
  ],
}
const result: Message = { role: 'tool', toolCallId: '1', content: '17:42' }
const tools: RenderOptions = { tools: [{ name: 'tide', parameters: { type: 'object', properties: { harbour: { type: 'string' } } } }] }

const CHATML = `{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`

const harmony = byteTokenizer(harmonySpecials)
const qwen = byteTokenizer(qwenSpecials)
const qwenHybrid = qwenFormat(qwen, { thinking: 'switch', tools: 'json' })
const chatml = templateFormat(qwen, { chatTemplate: CHATML, eosTokenIds: [qwen.specials.get('<|im_end|>')!] })
const plain = plainFormat(qwen, {})

const cases: [name: string, format: ChatFormat, tokenizer: Tokenizer, messages: Message[], options: RenderOptions, answer: string][] = [
  [
    'harmony, with thinking',
    harmonyFormat(harmony),
    harmony,
    [user('Hi'), answer('Hello.', 'Greet.')],
    {},
    '<|channel|>analysis<|message|>Greet.<|end|><|start|>assistant<|channel|>final<|message|>Hello.<|return|>',
  ],
  [
    'harmony, a call',
    harmonyFormat(harmony),
    harmony,
    [user('When is high tide?'), call],
    tools,
    '<|channel|>analysis<|message|>Look it up.<|end|><|start|>assistant to=functions.tide<|channel|>commentary <|constrain|>json<|message|>{"harbour": "Calais"}<|call|>',
  ],
  [
    'harmony, after a result',
    harmonyFormat(harmony),
    harmony,
    [user('When is high tide?'), call, result, answer('At 17:42.')],
    tools,
    '<|channel|>final<|message|>At 17:42.<|return|>',
  ],
  [
    'harmony, a marker in the text',
    harmonyFormat(harmony),
    harmony,
    [user('Hi'), answer('a <|end|> b')],
    {},
    '<|channel|>final<|message|>a <|end|> b<|return|>',
  ],
  ['Qwen, with thinking', qwenHybrid, qwen, [user('Hi'), answer('Hello.', 'Greet.')], {}, '<think>\nGreet.\n</think>\n\nHello.<|im_end|>'],
  ['Qwen, thinking off', qwenHybrid, qwen, [user('Hi'), answer('Hello.')], { thinking: false }, 'Hello.<|im_end|>'],
  [
    'Qwen, a call',
    qwenHybrid,
    qwen,
    [user('When is high tide?'), call],
    tools,
    '<think>\nLook it up.\n</think>\n\n<tool_call>\n{"name": "tide", "arguments": {"harbour": "Calais"}}\n</tool_call><|im_end|>',
  ],
  ['a template', chatml, qwen, [user('Hi'), answer('Hello.')], {}, 'Hello.<|im_end|>'],
  ['a template, a marker in the text', chatml, qwen, [user('Hi'), answer('a <|im_end|> b')], {}, 'a <|im_end|> b<|im_end|>'],
  ['a base model', plain, qwen, [user('Hi'), answer('Hello.')], {}, '\nHello.<|endoftext|>'],
]

describe('one turn', () => {
  for (const [name, format, tokenizer, messages, options, expected] of cases)
    test(name, () => {
      const turn = turnOf(format, tokenizer, messages, options)
      assert.deepEqual(turn.prompt, format.render(messages.slice(0, -1), options))
      assert.equal(tokenizer.decode(turn.answer), expected)
      assert.ok(format.stopIds.includes(turn.answer.at(-1)!))
      assert.equal(turn.answer.filter((id) => format.stopIds.includes(id)).length, 1)
    })
})

/** What counts in a lesson, answers apart from each other. */
const learned = (tokenizer: Tokenizer, { ids, counts }: { ids: number[]; counts: boolean[] }): string[] => {
  const runs: number[][] = []
  ids.forEach((id, i) => {
    if (!counts[i]) return
    if (!counts[i - 1]) runs.push([])
    runs.at(-1)!.push(id)
  })
  return runs.map((run) => tokenizer.decode(run))
}

test('turns share a sequence where the history stays, and have their own where thinking is dropped', () => {
  const plainTurns = [user('One'), answer('1'), user('Two'), answer('2')]
  const [one, ...more] = lessonsOf(chatml, qwen, plainTurns, {})
  assert.equal(more.length, 0)
  assert.deepEqual(learned(qwen, one!), ['1<|im_end|>', '2<|im_end|>'])
  const thinking = [user('One'), answer('1', 'a'), user('Two'), answer('2', 'b')]
  for (const [format, tokenizer] of [
    [qwenHybrid, qwen],
    [harmonyFormat(harmony), harmony],
  ] as const) {
    const lessons = lessonsOf(format, tokenizer, thinking, {})
    assert.equal(lessons.length, 2)
    assert.deepEqual(
      lessons.map((lesson) => learned(tokenizer, lesson).length),
      [1, 1],
    )
    assert.ok(!tokenizer.decode(lessons[1]!.ids).includes('<think>\na'))
  }
})

test('a call, its result and the answer share a sequence', () => {
  const lessons = lessonsOf(qwenHybrid, qwen, [user('When?'), call, result, answer('At 17:42.', 'Now I know.')], tools)
  assert.equal(lessons.length, 1)
  const [called, answered] = learned(qwen, lessons[0]!)
  assert.ok(called!.endsWith('</tool_call><|im_end|>') && answered === '<think>\nNow I know.\n</think>\n\nAt 17:42.<|im_end|>')
})

test('answers of weight 0 are context only', () => {
  const [lesson, ...more] = lessonsOf(chatml, qwen, [user('One'), answer('wrong'), user('Two'), answer('2')], {}, (i) => i !== 1)
  assert.equal(more.length, 0)
  assert.deepEqual(learned(qwen, lesson!), ['2<|im_end|>'])
})

test('a template that cannot be learned from is refused', () => {
  const eosTokenIds = [qwen.specials.get('<|im_end|>')!]
  const turn = (chatTemplate: string) =>
    turnOf(formatFor({ tokenizer: qwen, chatTemplate, eosTokenIds }, 'template'), qwen, [user('Hi'), answer('Hello.')], {})
  assert.throws(() => turn('{% for m in messages %}{{ m.content }} {% endfor %}'), /ends no answer with a stop token/)
  const opens = `${CHATML.replace('assistant\n{% endif %}', 'assistant\nAnswer: {% endif %}')}`
  assert.throws(() => turn(opens), /messages\[1\]: the chat template writes this answer differently/)
})
