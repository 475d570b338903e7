/**
 * Scores of a real model equal those of lm-evaluation-harness and, in strided windows, of transformers: in this process, behind a URL with
 * and without a tokenizer, by what the server's /tokenize says, and by the offsets of texts alone.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Evaluation, evaluate } from '../../src/evaluate/evaluate.ts'
import { localSubject } from '../../src/evaluate/local-subject.ts'
import { type RemoteOptions, remoteSubject } from '../../src/evaluate/remote-subject.ts'
import type { Subject } from '../../src/evaluate/subject.ts'
import { load, type Model } from '../../src/index.ts'
import { createApp } from '../../src/server/http/app.ts'
import { lines, taskOf } from './subjects.ts'

const shared = (path: string) => fileURLToPath(new URL(`../../../shared/${path}`, import.meta.url))
const [stories, vectors] = [shared('real/stories260K'), shared('vectors/eval/stories260K.json')]
const missing = [stories, vectors].find((path) => !existsSync(path))
const skip = missing === undefined ? false : `${missing} is not on this machine`
/** scripts/oracles/strided-perplexity.py: torch 2.13, transformers 5.24, the rolling texts joined by two newlines. */
const STRIDED = [
  { length: 512, stride: 256, logprob: -2721.215877532959, tokens: 2050 },
  { length: 512, stride: 512, logprob: -2731.496894836426, tokens: 2046 },
  { length: 128, stride: 32, logprob: -2678.8164348602295, tokens: 2050 },
  { length: 128, stride: 100, logprob: -2879.079071044922, tokens: 2050 },
]

interface Vectors {
  choices: { context: string; choices: string[]; loglikelihood: [number, boolean][] }[]
  last_word: { context: string; word: string; loglikelihood: [number, boolean] }[]
  rolling: { text: string; loglikelihood: number; ids: number; words: number; bytes: number }[]
}

let model: Model
const closers: (() => Promise<unknown>)[] = []
after(async () => {
  for (const close of closers) await close()
})

async function subjects(): Promise<Record<string, Subject>> {
  model = await load(stories, { threads: 1, slots: 4 })
  const app = createApp({ models: [{ id: 'm', load: async () => ({ ...model, dispose() {} }) }] })
  closers.push(
    () => app.close(0),
    () => model.dispose(),
  )
  const through = (hide: (path: string) => boolean, more: Partial<RemoteOptions> = {}) =>
    remoteSubject({
      url: 'http://localhost/v1/',
      model: 'm',
      parallel: 2,
      ...more,
      fetch: async (input, init) => {
        const request = new Request(input as string, init)
        return hide(new URL(request.url).pathname) ? new Response('no such route', { status: 404 }) : app.fetch(request)
      },
    })
  return {
    'this process': localSubject(model, 'm'),
    'server with /tokenize': through(() => false),
    'server, tokenizer here': through((path) => path === '/tokenize', { tokenizer: model.tokenizer, context: 512 }),
    'server, offsets': through((path) => path === '/tokenize'),
  }
}

const near = (value: unknown, expected: number, tokens: number, what: string) =>
  assert.ok(Math.abs((value as number) - expected) <= 1e-4 * Math.max(1, tokens), `${what}: ${value}, expected ${expected}`)

test('stories260K: choices, last words and whole texts as lm-evaluation-harness scores them', { skip }, async (t) => {
  const { choices, last_word, rolling } = JSON.parse(readFileSync(vectors, 'utf8')) as Vectors
  const ok = ({ outcomes, interrupted }: Evaluation, count: number) => {
    assert.equal(interrupted, undefined, String(interrupted))
    assert.equal(outcomes.length, count)
    return Object.groupBy(outcomes, ({ id }) => id)
  }
  for (const [name, subject] of Object.entries(await subjects())) {
    await t.test(name, async () => {
      const choosing = taskOf({ kind: 'choices', prompt: '{{ context }}', choices: 'choices', answer: '0', delimiter: '' })
      const chosen = ok(await evaluate(choosing, subject, { data: [lines(choices)] }), choices.length)
      choices.forEach(({ context, loglikelihood }, i) => {
        const [{ logprobs, greedy, tokens, acc } = {} as never] = chosen[i]!
        loglikelihood.forEach(([expected, isGreedy], c) => {
          near((logprobs as number[])[c], expected, (tokens as number[])[c]!, `${context} [${c}]`)
          assert.equal((greedy as boolean[])[c], isGreedy, context)
        })
        const best = loglikelihood.every(([value]) => value <= loglikelihood[0]![0])
        assert.equal(acc, Number(best))
      })

      const completing = taskOf({ kind: 'last-word', prompt: '{{ context }}', target: '{{ word }}' })
      const evaluation = await evaluate(completing, subject, { data: [lines(last_word)] })
      const words = ok(evaluation, last_word.length)
      last_word.forEach(({ loglikelihood: [expected, isGreedy], context }, i) => {
        const [{ logprob, acc, tokens } = {} as never] = words[i]!
        near(logprob, expected, tokens as number, context)
        assert.equal(acc, Number(isGreedy), context)
      })
      const mean = last_word.reduce((sum, { loglikelihood }) => sum + loglikelihood[0], 0) / last_word.length
      const perplexity = evaluation.summaries[0]!.metrics.find((metric) => metric.name === 'perplexity')!
      assert.ok(Math.abs(Math.log(perplexity.value) + mean) < 1e-4)

      const whole = await evaluate(taskOf({ kind: 'rolling' }), subject, { data: [lines(rolling)] })
      if (name === 'server, offsets') return assert.match(String(whole.interrupted), /expected a tokenizer to cut texts/)
      const texts = ok(whole, rolling.length)
      rolling.forEach(({ loglikelihood, ids, words, bytes }, i) => {
        const [outcome] = texts[i]!
        assert.deepEqual([outcome!.tokens, outcome!.words, outcome!.bytes], [ids, words, bytes])
        near(outcome!.logprob, loglikelihood, ids, `text ${i}`)
      })
      const [total, totalBytes] = [rolling.reduce((sum, r) => sum + r.loglikelihood, 0), rolling.reduce((sum, r) => sum + r.bytes, 0)]
      const bits = whole.summaries[0]!.metrics.find((metric) => metric.name === 'bits_per_byte')!
      assert.ok(Math.abs(bits.value + total / totalBytes / Math.LN2) < 1e-4)

      for (const { length, stride, logprob, tokens } of STRIDED) {
        const strided = taskOf({ kind: 'rolling', rule: 'strided', length, stride, join: '\n\n' })
        const { outcomes } = await evaluate(strided, subject, { data: [lines(rolling)] })
        assert.equal(outcomes[0]!.tokens, tokens)
        near(outcomes[0]!.logprob, logprob, tokens, `windows of ${length} by ${stride}`)
      }
    })
  }
})
