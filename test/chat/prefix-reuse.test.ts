/**
 * Conversations on the tiny published-layout checkpoints: three turns with tool calls give the same ids and log-probabilities with the
 * KV cache of earlier turns as without, sliding-window layers included; cachedTokens says how much was reused; also after a cancelled turn.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { harmonyFormat } from '../../src/chat/formats/harmony/harmony.ts'
import { qwenFormat } from '../../src/chat/formats/qwen/qwen.ts'
import type { ChatFormat, FinishEvent, Message } from '../../src/chat/messages.ts'
import { ChatSession, chat } from '../../src/chat/session.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { loadIds } from '../../src/load-model-node.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'
import { byteTokenizer, harmonySpecials, qwenSpecials } from './byte-tokenizer.ts'
import { checkEvents } from './events.ts'

const tools = [{ name: 'tide', parameters: { type: 'object', properties: { harbour: { type: 'string' } } } }]
const conversation: Message[] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'High tide in Calais?' },
  {
    role: 'assistant',
    content: [
      { type: 'reasoning', text: 'Look it up.' },
      { type: 'tool-call', id: '1', name: 'tide', arguments: '{"harbour": "Calais"}' },
    ],
  },
  { role: 'tool', toolCallId: '1', content: '17:42' },
  {
    role: 'assistant',
    content: [
      { type: 'reasoning', text: 'Found.' },
      { type: 'text', text: 'At 17:42.' },
    ],
  },
  { role: 'user', content: 'And Dover?' },
  { role: 'assistant', content: [{ type: 'tool-call', id: '2', name: 'tide', arguments: '{"harbour": "Dover"}' }] },
  { role: 'tool', toolCallId: '2', content: '18:10' },
]
/** Where each request of the three turns ends. */
const cuts = [2, 4, 6, 8]

const families: { checkpoint: string; tokenizer: Tokenizer; format: ChatFormat }[] = [
  { checkpoint: 'tiny-gpt-oss', tokenizer: byteTokenizer(harmonySpecials), format: harmonyFormat(byteTokenizer(harmonySpecials)) },
  {
    checkpoint: 'tiny-qwen3',
    tokenizer: byteTokenizer(qwenSpecials),
    format: qwenFormat(byteTokenizer(qwenSpecials), { thinking: 'switch', tools: 'json' }),
  },
]

async function draw(engine: Engine, prompt: readonly number[], cacheKey: string, maxTokens = 12) {
  const tokens = []
  const generation = engine.generate(prompt, { maxTokens, cacheKey, logprobs: 3, stopIds: [] })
  for await (const token of generation) tokens.push(token)
  return { tokens, result: await generation.result }
}

for (const { checkpoint, tokenizer, format } of families) {
  test(`${checkpoint}: with the cache as without`, async () => {
    const folder = fileURLToPath(new URL(`../fixtures/checkpoints/${checkpoint}`, import.meta.url))
    const { engine, dispose } = await loadIds(folder, { backend: 'wasm', threads: 1, context: 2048, slots: 2 })
    try {
      let known: number[] = []
      for (const [turn, cut] of cuts.entries()) {
        const prompt = format.render(conversation.slice(0, cut), { tools })
        let common = 0
        while (common < Math.min(known.length, prompt.length - 1) && known[common] === prompt[common]) common++
        const fresh = await draw(engine, prompt, `fresh ${turn}`)
        const reused = await draw(engine, prompt, 'kept')
        assert.equal(fresh.result.cachedTokens, 0)
        assert.ok(turn === 0 || common > 200, 'the turns share a long beginning')
        assert.equal(reused.result.cachedTokens, common, `turn ${turn}`)
        assert.deepEqual(reused.tokens, fresh.tokens, `turn ${turn}`)
        // The last id was drawn and never run through the model.
        known = [...prompt, ...reused.result.ids.slice(0, -1)]
      }
    } finally {
      await dispose()
    }
  })

  test(`${checkpoint}: a session, a cancelled turn, and the next one`, async () => {
    const folder = fileURLToPath(new URL(`../fixtures/checkpoints/${checkpoint}`, import.meta.url))
    const { engine, dispose } = await loadIds(folder, { backend: 'wasm', threads: 1, context: 2048, slots: 2 })
    try {
      const model = { tokenizer, format, engine }
      const options = { sampling: { temperature: 0 }, maxTokens: 12, tools }
      const session = new ChatSession(model, options, conversation.slice(0, 5))
      const controller = new AbortController()
      let ids = 0
      for await (const event of session.send('And Dover?', { signal: controller.signal, maxTokens: 200, repetitionLimit: 0 })) {
        if (event.type === 'finish') assert.equal(event.reason, 'abort')
        else if (ids++ === 3) controller.abort()
        else if (ids > 20) assert.fail('the answer goes on after the signal')
      }
      session.messages = conversation.slice(0, 5)
      const events = await Array.fromAsync(session.send('And Brest?'))
      checkEvents(events)
      const { usage, reason } = events.at(-1) as FinishEvent
      const withCancelled = format.render([...conversation.slice(0, 5), { role: 'user', content: 'And Dover?' }], { tools })
      const prompt = format.render([...conversation.slice(0, 5), { role: 'user', content: 'And Brest?' }], { tools })
      assert.equal(
        usage.cachedTokens,
        prompt.findIndex((id, i) => id !== withCancelled[i]),
      )
      assert.equal(usage.promptTokens, prompt.length)
      assert.ok(['length', 'stop'].includes(reason))
      const fresh = await Array.fromAsync(
        chat(model, [...conversation.slice(0, 5), { role: 'user', content: 'And Brest?' }], { ...options, cacheKey: 'fresh' }),
      )
      const withoutTimes = (list: typeof events) => list.map((event) => (event.type === 'finish' ? event.reason : event))
      assert.deepEqual(withoutTimes(events), withoutTimes(fresh))
      assert.equal((fresh.at(-1) as FinishEvent).usage.cachedTokens, 0)
    } finally {
      await dispose()
    }
  })
}
