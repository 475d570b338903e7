/**
 * One request gives one answer, whatever the route: the same prompt, the same sampling, the same ids, text, calls and finish reason through the
 * library, the command line, HTTP, Ollama's route and the AI SDK. On scripted ids in five formats, and on the weights of abacus.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { Ask, AskedTool } from '../../src/answer/ask.ts'
import { harmonyFormat } from '../../src/chat/formats/harmony/harmony.ts'
import { qwenFormat } from '../../src/chat/formats/qwen/qwen.ts'
import { templateFormat } from '../../src/chat/formats/template.ts'
import type { ChatFormat, JsonSchema, Message } from '../../src/chat/messages.ts'
import { loadModel, type Model } from '../../src/load-model-node.ts'
import { withMethods } from '../../src/public.ts'
import { createApp } from '../../src/server/http/app.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'
import { byteTokenizer, harmonySpecials, qwenSpecials } from '../chat/byte-tokenizer.ts'
import { scriptedEngine } from '../server/scripted-engine.ts'
import { random } from '../tokenizer/mixed-text.ts'
import { expresses, type Outcome, outcome, ROUTES, type Subject } from './routes.ts'

const person: JsonSchema = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 8 }, age: { type: 'integer', minimum: 0, maximum: 150 } },
  required: ['name', 'age'],
  additionalProperties: false,
}
const paint: AskedTool = {
  name: 'paint',
  parameters: {
    type: 'object',
    properties: { color: { enum: ['red', 'green'] } },
    required: ['color'],
    additionalProperties: false,
  },
}
const place: AskedTool = { name: 'place', parameters: person }
const ajv = new Ajv2020({ strict: false })
const isPerson = ajv.compile(person as object)
const isPaint = ajv.compile(paint.parameters as object)

/** How a format spells what a model writes. */
interface Dialect {
  tokenizer: Tokenizer
  format: ChatFormat
  think(text: string): string
  final(text: string): string
  call(name: string, args: Record<string, string>): string
}

const qwenTokenizer = byteTokenizer(qwenSpecials)
const harmonyTokenizer = byteTokenizer(harmonySpecials)
const llamaTokenizer = byteTokenizer(['<|begin_of_text|>', '<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'])
const llamaTemplate = `{{ bos_token }}
{%- if tools %}Answer with {"name": the function's name, "parameters": its arguments}.
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}{% endif %}
{%- for message in messages %}<|start_header_id|>{{ message.role }}<|end_header_id|>

{{ message.content }}<|eot_id|>{% endfor %}
{%- if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>

{% endif %}`

/** Refuses system messages and knows no tools, as Gemma 2's. */
const gemmaTokenizer = byteTokenizer(['<bos>', '<start_of_turn>', '<end_of_turn>'])
const gemmaTemplate = `{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for message in messages %}<start_of_turn>{{ message.role }}
{{ message.content }}<end_of_turn>
{% endfor %}
{%- if add_generation_prompt %}<start_of_turn>model
{% endif %}`

const dialects: Record<string, Dialect> = {
  harmony: {
    tokenizer: harmonyTokenizer,
    format: harmonyFormat(harmonyTokenizer),
    think: (text) => `<|channel|>analysis<|message|>${text}<|end|><|start|>assistant`,
    final: (text) => `<|channel|>final<|message|>${text}<|return|>`,
    call: (name, args) => `<|channel|>commentary to=functions.${name} <|constrain|>json<|message|>${JSON.stringify(args)}<|call|>`,
  },
  Qwen: {
    tokenizer: qwenTokenizer,
    format: qwenFormat(qwenTokenizer, { thinking: 'switch', tools: 'json' }),
    think: (text) => `<think>\n${text}\n</think>\n\n`,
    final: (text) => `${text}<|im_end|>`,
    call: (name, args) => `<tool_call>\n${JSON.stringify({ name, arguments: args })}\n</tool_call>\n`,
  },
  'Qwen-Coder': {
    tokenizer: qwenTokenizer,
    format: qwenFormat(qwenTokenizer, { thinking: 'never', tools: 'xml' }),
    think: () => '',
    final: (text) => `${text}<|im_end|>`,
    call: (name, args) => {
      const parameters = Object.entries(args).map(([key, value]) => `<parameter=${key}>\n${value}\n</parameter>\n`)
      return `<tool_call>\n<function=${name}>\n${parameters.join('')}</function>\n</tool_call>\n`
    },
  },
  'Llama template': {
    tokenizer: llamaTokenizer,
    format: templateFormat(llamaTokenizer, { chatTemplate: llamaTemplate, bosToken: '<|begin_of_text|>', eosToken: '<|eot_id|>' }),
    think: () => '',
    final: (text) => `${text}<|eot_id|>`,
    call: (name, args) => `${JSON.stringify({ name, parameters: args })}<|eot_id|>`,
  },
  'generic tools': {
    tokenizer: gemmaTokenizer,
    format: templateFormat(gemmaTokenizer, { chatTemplate: gemmaTemplate, bosToken: '<bos>', genericTools: true }),
    think: () => '',
    final: (text) => `${text}<end_of_turn>`,
    call: (name, args) => `${JSON.stringify({ name, arguments: args })}<end_of_turn>`,
  },
}

interface Request {
  ask: Ask
  script(dialect: Dialect): string
  /** What must hold beside equality. */
  check?(came: Outcome, name: string): void
}

const user: Message[] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Who?' },
]
const answers = ({ think, final }: Dialect) => think('Hm, who is it?') + final('Ada is one STOP and 36 years old.')
const complete = ({ text, finish }: Outcome) => {
  if (finish === 'stop') assert.ok(isPerson(JSON.parse(text)), text)
}
const painted = ({ calls, text, finish }: Outcome) => {
  assert.deepEqual([calls.length, calls[0]?.name, text, finish], [1, 'paint', '', 'tool-calls'])
  assert.ok(isPaint(calls[0]!.arguments), JSON.stringify(calls[0]!.arguments))
}
const calls = (name: string, args: Record<string, string>) => (dialect: Dialect) => dialect.think('A tool.') + dialect.call(name, args)
const many = Array.from({ length: 12 }, (_, i) => `${i}. line`).join('\n')

const requests: Record<string, Request> = {
  plain: {
    ask: {},
    script: answers,
    check: ({ finish, text }) => assert.deepEqual([finish, text], ['stop', 'Ada is one STOP and 36 years old.']),
  },
  'seed and temperature': {
    ask: { sampling: { temperature: 0.7, topP: 0.9, seed: 5 } },
    script: () => '',
    check: ({ sampling }) => assert.equal(sampling.seed, 5),
  },
  'a limit': { ask: { maxTokens: 9 }, script: answers, check: ({ finish, ids }) => assert.deepEqual([finish, ids.length], ['length', 9]) },
  'a stop text': { ask: { stop: ['STOP', 'never'] }, script: answers, check: ({ text }) => assert.equal(text, 'Ada is one ') },
  'log-probabilities': { ask: { logprobs: 2 }, script: answers },
  'low effort': { ask: { thinking: 'low' }, script: answers },
  'no thinking': { ask: { thinking: false }, script: answers, check: ({ reasoning }) => assert.equal(reasoning, '') },
  'a thinking budget': {
    ask: { thinking: { budget: 4 }, maxTokens: 200 },
    script: ({ think, final }) => think('abcdefghijkl') + final('x'),
  },
  'a loop': {
    ask: {},
    script: ({ think, final }) => think('Hm.') + final('The cat sat. '.repeat(300)),
    check: ({ finish, ids }) => assert.ok(finish === 'length' && ids.length < 700, `${finish} ${ids.length}`),
  },
  'no loop': { ask: {}, script: ({ think, final }) => think('Hm.') + final(many), check: ({ text }) => assert.equal(text, many) },
  'a schema': {
    ask: { schema: person },
    script: answers,
    check: ({ finish, text }) => assert.ok(finish === 'stop' && isPerson(JSON.parse(text)), text),
  },
  'a schema at random': {
    ask: { schema: person, maxTokens: 400, sampling: { seed: 3 } },
    script: ({ think }) => think('Hm.'),
    check: complete,
  },
  'a schema, cut': { ask: { schema: person, maxTokens: 6 }, script: answers, check: ({ finish }) => assert.equal(finish, 'length') },
  'a schema, stopped': { ask: { schema: person, stop: ['age'] }, script: answers, check: ({ finish }) => assert.equal(finish, 'length') },
  'a schema and a budget': { ask: { schema: person, thinking: { budget: 3 }, maxTokens: 400 }, script: answers, check: complete },
  'a schema and a tool': { ask: { schema: person, tools: [paint], maxTokens: 400 }, script: calls('paint', { color: 'red' }) },
  'a regular expression': {
    ask: { regex: '[A-Z][a-z]+ \\d{2}', maxTokens: 200 },
    script: answers,
    check: ({ finish, text }) => assert.ok(finish === 'stop' && /^[A-Z][a-z]+ \d{2}$/.test(text), text),
  },
  'a choice': {
    ask: { choice: ['Ada', 'Adam', 'Eve'], maxTokens: 200 },
    script: answers,
    check: ({ finish, text }) => assert.ok(finish === 'stop' && /^(Ada|Adam|Eve)$/.test(text), text),
  },
  'a choice at random, beside a tool': {
    ask: { choice: ['Ada', 'Adam', 'Eve'], tools: [paint], sampling: { seed: 6 }, maxTokens: 200 },
    script: ({ think }) => think('Hm.'),
    check: ({ finish, text, calls }) => assert.ok(calls.length > 0 || (finish === 'stop' && /^(Ada|Adam|Eve)$/.test(text)), text),
  },
  'a grammar': {
    ask: { grammar: 'root ::= name (" and " name)* "."\nname ::= "Ada" | "Eve"', maxTokens: 200 },
    script: answers,
    check: ({ finish, text }) => assert.ok(finish === 'stop' && /^(Ada|Eve)( and (Ada|Eve))*\.$/.test(text), text),
  },
  'a grammar, cut': {
    ask: { grammar: 'root ::= "Ada" "!"{40}', maxTokens: 12 },
    script: answers,
    check: ({ finish }) => assert.equal(finish, 'length'),
  },
  'a call of its own': {
    ask: { tools: [paint, place] },
    script: ({ think, call, final }) => think('Red.') + call('paint', { color: 'red' }) + final(''),
    check: ({ calls }) => assert.deepEqual(calls, [{ name: 'paint', arguments: { color: 'red' } }]),
  },
  'wrong arguments': { ask: { tools: [paint] }, script: ({ think, call, final }) => think('?') + call('paint', { size: 'x' }) + final('') },
  'a strict tool': {
    ask: { tools: [{ ...paint, strict: true }], maxTokens: 300 },
    script: calls('paint', { size: 'huge' }),
    // Coder writes calls as tags, which a JSON grammar cannot hold.
    check: ({ calls }, name) => assert.ok(name === 'Qwen-Coder' || isPaint(calls[0]?.arguments), JSON.stringify(calls)),
  },
  'a forced tool': { ask: { tools: [place, paint], toolChoice: { name: 'paint' } }, script: answers, check: painted },
  'a forced tool at random': {
    ask: { tools: [paint], toolChoice: { name: 'paint' }, sampling: { seed: 11 } },
    script: ({ think }) => think('So.'),
    check: painted,
  },
  'a required tool': {
    ask: { tools: [paint, place], toolChoice: 'required', maxTokens: 600 },
    script: ({ think }) => think('Hm.'),
    check: ({ calls, text }) => {
      assert.ok(calls.length > 0 && text === '', JSON.stringify(calls))
      for (const { name, arguments: args } of calls.slice(0, -1))
        assert.ok((name === 'paint' ? isPaint : isPerson)(args), JSON.stringify(args))
    },
  },
  'allowed tools': {
    ask: { tools: [paint, place], toolChoice: { allowed: ['paint'], mode: 'required' }, parallelToolCalls: false },
    script: answers,
    check: painted,
  },
  'no tools after all': { ask: { tools: [paint], toolChoice: 'none' }, script: answers, check: ({ calls }) => assert.deepEqual(calls, []) },
  'one call at most': {
    ask: { tools: [paint], parallelToolCalls: false },
    script: ({ think, call, final }) => think('Twice.') + call('paint', { color: 'red' }) + call('paint', { color: 'green' }) + final(''),
    check: ({ calls, finish }) => assert.deepEqual([calls.length, finish], [1, 'tool-calls']),
  },
  'several calls': {
    ask: { tools: [paint], parallelToolCalls: true },
    script: ({ think, call, final }) => think('Twice.') + call('paint', { color: 'red' }) + call('paint', { color: 'green' }) + final(''),
    check: ({ calls }, name) => assert.equal(calls.length, ['Llama template', 'generic tools'].includes(name) ? 1 : 2),
  },
}

/** How many requests each route answered; the last test checks that every route was used. */
const answered: Record<string, number> = {}

async function compare(
  name: string,
  messages: readonly Message[],
  request: Pick<Request, 'ask' | 'check'>,
  subject: () => Subject,
): Promise<void> {
  let first: { route: string; came: Outcome } | undefined
  for (const [route, row] of Object.entries(ROUTES)) {
    if (!expresses(row, request.ask)) continue
    const came = await outcome(row, subject(), messages, request.ask)
    answered[route] = (answered[route] ?? 0) + 1
    if (!first) {
      request.check?.(came, name)
      first = { route, came }
    } else assert.deepEqual(came, first.came, `${route} and ${first.route} differ`)
  }
}

for (const [name, dialect] of Object.entries(dialects))
  test(`${name}: ${Object.keys(requests).length} requests through every route`, async (t) => {
    for (const [what, request] of Object.entries(requests))
      await t.test(what, () =>
        compare(name, user, request, () => {
          const { tokenizer, format } = dialect
          // Each route meets the same model: the same text, then the same draws.
          const engine = scriptedEngine(tokenizer, () => request.script(dialect), { random: random(request.ask.sampling?.seed ?? 1) })
          return { tokenizer, format, engine }
        }),
      )
  })

const abacus = await loadModel(fileURLToPath(new URL('../../models/abacus', import.meta.url)), { threads: 1, slots: 4, context: 768 })
after(() => abacus.dispose())
const question = (content: string): Message[] => [{ role: 'user', content }]
const sum: JsonSchema = { type: 'object', properties: { r: { type: 'integer' } }, required: ['r'], additionalProperties: false }

const calculations: Record<string, { messages: Message[]; ask: Ask }> = {
  plain: { messages: question('What is 47 + 85?'), ask: { thinking: 'high', sampling: { temperature: 0 } } },
  'a schema': { messages: question('What is 47 + 85?'), ask: { schema: sum, sampling: { temperature: 0 } } },
  'a budget of 5': {
    messages: question('What is 47 + 85?'),
    ask: { thinking: { budget: 5 }, sampling: { temperature: 0 }, maxTokens: 200 },
  },
  'a stop text': { messages: question('What is 47 + 85?'), ask: { stop: ['32'], sampling: { temperature: 0 } } },
  'a forced tool': {
    messages: question('Paint it.'),
    ask: { tools: [paint], toolChoice: { name: 'paint' }, sampling: { seed: 4, temperature: 1 } },
  },
  'a required tool': {
    messages: question('What is 47 + 85?'),
    ask: { tools: [paint], toolChoice: 'required', sampling: { temperature: 0 } },
  },
  'a strict tool': {
    messages: question('Paint it.'),
    ask: { tools: [{ ...paint, strict: true }], sampling: { seed: 9, temperature: 1 }, maxTokens: 200 },
  },
  sampled: { messages: question('Who are you?'), ask: { sampling: { temperature: 1.2, seed: 77 }, maxTokens: 120 } },
}
for (const [what, { messages, ask }] of Object.entries(calculations))
  test(`abacus: ${what}`, () => compare('abacus', messages, { ask }, () => abacus))

test('a text continued without a format: the library, /v1/completions, its stream, and Ollama', async () => {
  for (const [what, { stop, maxTokens, script }] of Object.entries({
    plain: { stop: [], maxTokens: 40, script: 'upon a time<|endoftext|>' },
    'a stop text': { stop: ['time'], maxTokens: 40, script: 'upon a time<|endoftext|>' },
    'a limit': { stop: ['never'], maxTokens: 5, script: 'upon a time' },
  })) {
    const subject = () => {
      const { tokenizer, format } = dialects.harmony!
      return { tokenizer, format, engine: scriptedEngine(tokenizer, () => script) }
    }
    const ask = { stop, maxTokens, sampling: { temperature: 0 } }
    const post = async (path: string, body: object) => {
      const model = subject()
      const architecture = {
        name: 'm',
        modelType: 'm',
        vocabSize: model.tokenizer.vocabSize,
        maxPositionEmbeddings: 65536,
        expertDtype: 'f32',
      }
      const app = createApp({ models: [{ id: 'm', load: async () => ({ ...model, architecture, dispose() {} }) }] })
      const headers = { 'content-type': 'application/json' }
      return app.fetch(new Request(`http://localhost${path}`, { method: 'POST', body: JSON.stringify({ model: 'm', ...body }), headers }))
    }
    const { generate } = withMethods(subject() as unknown as Model)
    const generation = generate('Once ', ask)
    const text = (await Array.fromAsync(generation)).join('')
    const direct = { text, reason: (await generation.result).reason }
    const body = { prompt: 'Once ', stop: stop.length > 0 ? stop : undefined, max_tokens: maxTokens, temperature: 0 }
    const { choices } = (await (await post('/v1/completions', body)).json()) as { choices: { text: string; finish_reason: string }[] }
    assert.deepEqual([choices[0]!.text, choices[0]!.finish_reason], [direct.text, direct.reason], what)
    const streamed = await (await post('/v1/completions', { ...body, stream: true })).text()
    const chunks = [...streamed.matchAll(/^data: (\{.*)$/gm)].map(([, data]) => JSON.parse(data!).choices[0])
    assert.deepEqual([chunks.map(({ text }) => text).join(''), chunks.at(-1).finish_reason], [direct.text, direct.reason], what)
    const options = { num_predict: maxTokens, temperature: 0, stop: body.stop }
    const raw = (await (await post('/api/generate', { prompt: 'Once ', raw: true, stream: false, options })).json()) as Record<
      string,
      string
    >
    assert.deepEqual([raw.response, raw.done_reason], [direct.text, direct.reason], what)
  }
})

test('every route answered many of them', () => {
  const total = Object.keys(dialects).length * Object.keys(requests).length + Object.keys(calculations).length
  assert.ok(total >= 60, `${total} requests`)
  for (const [route, count] of Object.entries({
    library: total,
    'command line': 30,
    'HTTP chat': total,
    'HTTP chat, streamed': total,
    'HTTP responses': 70,
    Ollama: 60,
    'AI SDK': 90,
  }))
    assert.ok((answered[route] ?? 0) >= count, `${route}: ${answered[route]}`)
})
