/**
 * Trained models that are small, tested where they lie beside the repository: ids equal those of other people's programs by every way
 * of asking, and scores over HTTP equal those of lm-evaluation-harness on transformers.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { load } from '../src/index.ts'
import { loadIds } from '../src/load-model-node.ts'
import { createApp } from '../src/server/http/app.ts'
import { lineage } from './cli/run.ts'
import type { Json } from './server/scripted-app.ts'

const shared = (path: string) => fileURLToPath(new URL(`../../shared/${path}`, import.meta.url))
const stories = shared('real/stories260K')
const capp = shared('real/capp-gpt2')
const scores = shared('vectors/eval/stories260K.json')
const skip = (...paths: string[]) => {
  const missing = paths.find((path) => !existsSync(path))
  return missing === undefined ? false : `${missing} is not on this machine`
}
const directory = mkdtempSync(join(tmpdir(), 'lineage-real-'))
after(() => rmSync(directory, { recursive: true }))

/** A server over the model, as a function. */
async function serve(use: (post: (path: string, body: object) => Promise<Json>) => Promise<void>): Promise<void> {
  const model = await load(stories, { threads: 1 })
  const app = createApp({ models: [{ id: 'm', load: async () => ({ ...model, dispose() {} }) }] })
  const headers = { 'content-type': 'application/json' }
  try {
    await use(async (path, body) => {
      const response = await app.fetch(
        new Request(`http://localhost${path}`, { method: 'POST', body: JSON.stringify({ model: 'm', ...body }), headers }),
      )
      assert.equal(response.status, 200, await response.clone().text())
      return response.json()
    })
  } finally {
    await app.close(0)
    await model.dispose()
  }
}

test('stories260K: 400 greedy ids by the library, by completions and on the command line', { skip: skip(stories) }, async () => {
  const [, line] = /^all 1 ([\d ]+)$/m.exec(readFileSync(join(stories, 'expected-greedy-400.txt'), 'utf8'))!
  const expected = line!.trim().split(' ').map(Number)
  assert.equal(expected.length, 400)

  await using model = await load(stories, { threads: 1 })
  const generation = model.generate('', { maxTokens: 400, sampling: { temperature: 0 } })
  const text = (await Array.fromAsync(generation)).join('')
  assert.deepEqual((await generation.result).ids, expected)
  assert.equal(text, model.tokenizer.decode(expected))

  // The same story from its first words on.
  const opening = model.tokenizer.decode(expected.slice(0, 40))
  const rest = model.generate(opening, { maxTokens: 360, sampling: { temperature: 0 } })
  assert.equal(opening + (await Array.fromAsync(rest)).join(''), text)

  await serve(async (post) => {
    for (const prompt of ['', '<s>', [1]]) {
      const { choices, usage } = await post('/v1/completions', { prompt, max_tokens: 400, temperature: 0, logprobs: 1 })
      assert.equal(choices[0].text, text)
      assert.deepEqual([usage.prompt_tokens, usage.completion_tokens], [1, 400])
      assert.equal(choices[0].logprobs.tokens.length, 400)
    }
    const full = (await post('/v1/completions', { prompt: '', max_tokens: 600, temperature: 0 })).choices[0]
    assert.deepEqual([full.finish_reason, full.stop_reason], ['length', 'context'])
    // The beginning of an answer is continued with the blank before its next word.
    const begun = { messages: [{ role: 'assistant', content: 'Once upon a time, there was a' }], temperature: 0, max_tokens: 8 }
    const whole = (await post('/v1/completions', { prompt: begun.messages[0]!.content, temperature: 0, max_tokens: 8 })).choices[0].text
    assert.equal((await post('/v1/chat/completions', begun)).choices[0].message.content, whole)
    assert.ok(whole.startsWith(' '), whole)
    const { response } = await post('/api/generate', {
      prompt: opening,
      raw: true,
      stream: false,
      options: { temperature: 0, num_predict: 360 },
    })
    assert.equal(opening + response, text)
  })

  const run = lineage(['generate', stories, '', '--max-tokens', '400', '--threads', '1', '--json'])
  assert.equal(run.code, 0, run.err)
  assert.deepEqual(JSON.parse(run.out).ids, expected)
  assert.equal(JSON.parse(run.out).text, text)
  const piped = lineage(['generate', stories, '--max-tokens', '360', '--threads', '1'], { input: `${opening}\n` })
  assert.equal(opening + piped.out, `${text}\n`)
  const byIds = lineage(['generate', stories, '--ids', '1', '--max-tokens', '400', '--threads', '1'])
  assert.deepEqual(byIds.out.trim().split(' ').map(Number), expected)
})

test('capp-gpt2: the answers to 40 prompts of ids', { skip: skip(capp) }, async () => {
  const cases = JSON.parse(readFileSync(join(capp, 'expected-greedy-40.json'), 'utf8')) as { prompt: number[]; ids: number[] }[]
  assert.equal(cases.length, 40)
  const model = await loadIds(capp, { threads: 1 })
  try {
    for (const { prompt, ids } of cases) {
      const { result } = model.engine.generate(prompt, { maxTokens: 64, sampling: { temperature: 0 } })
      assert.deepEqual((await result).ids, ids, `prompt ${prompt}`)
    }
  } finally {
    await model.dispose()
  }
  const [{ prompt, ids }] = cases as [{ prompt: number[]; ids: number[] }]
  const run = lineage(['generate', capp, '--ids', prompt.join(' '), '--max-tokens', '64', '--threads', '1'])
  assert.deepEqual(run.out.trim().split(' ').map(Number), ids, run.err)
})

test('eval --data: the loss of a text after the BOS', { skip: skip(stories, scores) }, () => {
  const { text, ids, loglikelihood } = JSON.parse(readFileSync(scores, 'utf8')).rolling[0]
  const file = join(directory, 'text.txt')
  writeFileSync(file, text)
  const json = join(directory, 'eval.json')
  const run = lineage(['eval', stories, '--data', file, '--block', String(ids), '--json', json, '--threads', '1'])
  assert.equal(run.code, 0, run.err)
  const { loss, tokens, bitsPerByte } = JSON.parse(readFileSync(json, 'utf8'))
  assert.equal(tokens, ids)
  assert.ok(Math.abs(loss * tokens + loglikelihood) < 1e-3, `${-loss * tokens}, expected ${loglikelihood}`)
  assert.ok(Math.abs(bitsPerByte * Math.LN2 * Buffer.byteLength(text) + loglikelihood) < 0.2)
})

test('lm-evaluation-harness: its requests give its log-likelihoods, greedy flags included', { skip: skip(stories, scores) }, async () => {
  const { choices, last_word, rolling } = JSON.parse(readFileSync(scores, 'utf8'))
  const pairs: [context: string, continuation: string, expected: [number, boolean]][] = [
    ...choices.flatMap((item: Json) => item.choices.map((text: string, i: number) => [item.context, text, item.loglikelihood[i]])),
    ...last_word.map(({ context, word, loglikelihood }: Json) => [context, word, loglikelihood]),
  ]
  assert.equal(pairs.length, 27)
  /** As local-completions reads an answer: the last entry is that of the generated token. */
  const read = ({ token_logprobs, top_logprobs }: Json, from: number, to = -1): [number, boolean] => {
    const scored: number[] = token_logprobs.slice(from, to)
    const greedy = scored.every((value, i) => value === Math.max(...(Object.values(top_logprobs.slice(from, to)[i]) as number[])))
    return [scored.reduce((sum, value) => sum + value, 0), greedy]
  }
  const near = (came: [number, boolean], expected: [number, boolean], what: string) => {
    assert.ok(Math.abs(came[0] - expected[0]) < 1e-3, `${what}: ${came[0]}, expected ${expected[0]}`)
    assert.equal(came[1], expected[1], what)
  }
  await serve(async (post) => {
    const request = { temperature: 0, max_tokens: 1, logprobs: 1, seed: 1234, echo: true }
    const ids = async (text: string): Promise<number[]> => (await post('/tokenize', { prompt: text })).tokens
    for (const [context, continuation, expected] of pairs) {
      const from = (await ids(context)).length
      const prompt = await ids(context + continuation)
      for (const sent of [[prompt], context + continuation, `<s> ${context}${continuation}`]) {
        const { choices, usage } = await post('/v1/completions', { prompt: sent, ...request })
        assert.equal(choices[0].logprobs.token_logprobs.length, prompt.length + usage.completion_tokens)
        assert.ok(choices[0].text.startsWith(typeof sent === 'string' ? sent : context + continuation))
        near(read(choices[0].logprobs, from), expected, context + continuation)
      }
    }

    // Continuations after which the model would stop: its stop token has an entry too.
    for (const stop of choices.slice(0, 3)) {
      const prompt = await ids(stop.context + stop.choices[0])
      const bias = { logit_bias: { 2: 100 } }
      const { choices, usage } = await post('/v1/completions', { prompt: [prompt], ...request, ...bias })
      assert.deepEqual([usage.completion_tokens, choices[0].finish_reason, choices[0].logprobs.tokens.at(-1)], [1, 'stop', '</s>'])
      near(read(choices[0].logprobs, (await ids(stop.context)).length), stop.loglikelihood[0], stop.context)
    }

    // Whole texts in windows of the whole context: max_tokens 0, so every entry counts.
    const score = async (prompt: number[], count: number) =>
      read(
        (await post('/v1/completions', { prompt, ...request, max_tokens: 0 })).choices[0].logprobs,
        prompt.length - count,
        prompt.length,
      )[0]
    for (const { text, loglikelihood, ids: count } of rolling) {
      const all = [1, ...(await post('/tokenize', { content: text })).tokens]
      assert.equal(all.length, count + 1)
      let sum = 0
      for (let done = 0; done < count; done += 512) {
        const end = Math.min(done + 512, count)
        sum += await score(all.slice(Math.max(0, end - 512), end + 1), end - done)
      }
      assert.ok(Math.abs(sum - loglikelihood) < 1e-3 * Math.max(1, count / 100), `${sum}, expected ${loglikelihood}`)
    }
  })
})
