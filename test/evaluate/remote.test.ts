/** Servers that answer what nobody asked: each is one line that names the URL and what came, and ends the run or loses one item. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate } from '../../src/evaluate/evaluate.ts'
import { type RemoteOptions, remoteSubject } from '../../src/evaluate/remote-subject.ts'
import { lines, taskOf } from './subjects.ts'

/** The fields of requests that the tests read. */
interface Body {
  content: string
  prompt: number[]
  max_tokens: number
}

type Answer = { status?: number; body: unknown }

/** A server by path; a missing path is a 404. */
function serve(routes: Record<string, (body: Body) => Answer>, more: Partial<RemoteOptions> = {}) {
  const asked: { path: string; body: Body }[] = []
  const subject = remoteSubject({
    url: 'http://host/v1',
    model: 'm',
    ...more,
    fetch: async (input, init) => {
      const path = new URL(input as string).pathname
      const body = init?.body ? JSON.parse(init.body as string) : {}
      asked.push({ path, body })
      const { status = 200, body: answer } = routes[path]?.(body) ?? { status: 404, body: { error: { message: 'no route' } } }
      return new Response(typeof answer === 'string' ? answer : JSON.stringify(answer), { status })
    },
  })
  return { subject, asked }
}

const chatTask = taskOf({ kind: 'generate', prompt: '{{ q }}', answer: 'q' })
const pairTask = taskOf({ kind: 'last-word', prompt: '{{ q }}', target: '{{ w }}' })
const data = [lines([{ q: 'ab', w: ' cd' }])]
const tokenize = ({ content }: Body): Answer => ({
  body: { tokens: [...content].map((c: string) => c.charCodeAt(0)), max_model_len: 16 },
})
const echo = (prompt: number[] | string, extra: object = {}): Answer => {
  const count = prompt.length
  return {
    body: {
      choices: [
        { logprobs: { token_logprobs: [null, ...Array(count).fill(-1)], top_logprobs: Array(count + 1).fill({ x: -1 }), ...extra } },
      ],
    },
  }
}

test('answers that are none', async () => {
  const rows: [Answer, RegExp, 'run' | 'item'][] = [
    [{ body: '<html>welcome</html>' }, /http:\/\/host\/v1\/chat\/completions: .*JSON/, 'run'],
    [{ body: { choices: [{ message: { content: [1] } }] } }, /expected an answer with a text, got an array of 1/, 'run'],
    [{ status: 401, body: { error: { message: 'bad key' } } }, /401 bad key/, 'run'],
    [{ status: 404, body: 'not found' }, /404 not found/, 'run'],
    [{ status: 400, body: { error: { message: 'too long' } } }, /400 too long/, 'item'],
    [{ status: 422, body: { detail: 'odd' } }, /422 odd/, 'item'],
  ]
  for (const [answer, expected, whose] of rows) {
    const { subject } = serve({ '/v1/chat/completions': () => answer })
    const { interrupted, outcomes } = await evaluate(chatTask, subject, { data })
    const told = whose === 'run' ? String(interrupted) : String(outcomes[0]?.error)
    assert.match(told, expected)
    assert.ok(!told.includes('\n'))
  }
})

test('an answer without text (a refusal, a call of a tool) is an answer without text', async () => {
  for (const message of [{ content: null }, { content: '' }, {}]) {
    const { subject } = serve({ '/v1/chat/completions': () => ({ body: { choices: [{ message, finish_reason: 'tool_calls' }] } }) })
    const { outcomes, interrupted } = await evaluate(chatTask, subject, { data })
    assert.deepEqual([interrupted, outcomes[0]!.text, outcomes[0]!.right], [undefined, '', 0])
  }
})

test('log-probabilities: servers without echo, with holes, that generate one token at least, with a smaller context', async () => {
  const without = serve({ '/tokenize': tokenize, '/v1/completions': () => ({ body: { choices: [{ text: 'x', logprobs: null }] } }) })
  assert.match(
    String((await evaluate(pairTask, without.subject, { data })).interrupted),
    /expected the log-probability of each token of the prompt/,
  )
  const holes = serve({
    '/tokenize': tokenize,
    '/v1/completions': ({ prompt }) => echo(prompt, { token_logprobs: Array(prompt.length).fill(null) }),
  })
  assert.match(String((await evaluate(pairTask, holes.subject, { data })).interrupted), /token_logprobs\[2\]: expected a number, got null/)
  const odd = serve({ '/tokenize': () => ({ body: { tokens: ['a'] } }), '/v1/completions': ({ prompt }) => echo(prompt) })
  assert.match(String((await evaluate(pairTask, odd.subject, { data })).interrupted), /\/tokenize: expected "tokens" as a list of ids/)

  const strict = serve({
    '/tokenize': tokenize,
    '/v1/completions': ({ prompt, max_tokens }) =>
      max_tokens === 0 ? { status: 400, body: { error: { message: 'max_tokens' } } } : echo(prompt),
  })
  const { outcomes } = await evaluate(pairTask, strict.subject, {
    data: [
      lines([
        { q: 'ab', w: ' cd' },
        { q: 'x'.repeat(30), w: 'y' },
      ]),
    ],
  })
  assert.deepEqual([outcomes[0]!.logprob, outcomes[0]!.acc, outcomes[0]!.cut], [-3, 1, undefined])
  assert.equal(outcomes[1]!.cut, true)
  assert.equal(strict.asked.filter(({ path }) => path === '/v1/completions').at(-1)!.body.prompt.length, 17)
  assert.equal(strict.asked.filter(({ path, body }) => path === '/v1/completions' && body.max_tokens === 0).length <= 2, true)

  const texts = serve({
    '/v1/completions': ({ prompt }) =>
      echo('abcd', {
        token_logprobs: [null, -1, -2, -4, -9],
        text_offset: [0, 1, 2, 4, prompt.length],
        top_logprobs: [null, { x: -1 }, { x: -1 }, { x: -4 }, {}],
      }),
  })
  const scored = await evaluate(pairTask, texts.subject, { data })
  assert.deepEqual([scored.outcomes[0]!.logprob, scored.outcomes[0]!.acc, scored.outcomes[0]!.tokens], [-6, 0, 2])
})

test('a server that is not there', async () => {
  const subject = remoteSubject({ url: 'http://127.0.0.1:9/v1', model: 'm', timeoutMs: 1000 })
  const controller = new AbortController()
  setTimeout(() => controller.abort(new Error('enough')), 200)
  const { interrupted } = await evaluate(chatTask, subject, { data, signal: controller.signal })
  assert.match(String(interrupted), /enough/)
  for (const url of ['host:80', 'ftp://x/v1', '', 'http:///'])
    assert.throws(() => remoteSubject({ url, model: 'm' }), /expected a URL such as http:\/\/127/, url)
})
