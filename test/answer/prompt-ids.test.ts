/**
 * How a text becomes the ids of a prompt, on every route that takes raw text: the BOS of the tokenizer once, special tokens read unless
 * that is switched off, and neither in messages. The expected ids are written out by hand.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { harmonyFormat } from '../../src/chat/formats/harmony/harmony.ts'
import { plainFormat } from '../../src/chat/formats/plain.ts'
import { qwenFormat } from '../../src/chat/formats/qwen/qwen.ts'
import { templateFormat } from '../../src/chat/formats/template.ts'
import type { ChatFormat } from '../../src/chat/messages.ts'
import { withMethods } from '../../src/public.ts'
import { createApp } from '../../src/server/http/app.ts'
import type { ServedModel } from '../../src/server/models/model.ts'
import { byteTokenizerJson } from '../../src/tokenizer/build.ts'
import { type PromptOptions, promptIds } from '../../src/tokenizer/prompt.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { byteTokenizer, harmonySpecials, qwenSpecials } from '../chat/byte-tokenizer.ts'
import { type Json, jsonOf } from '../server/scripted-app.ts'
import { scriptedEngine } from '../server/scripted-engine.ts'

/** A post-processor that puts these tokens before every text. */
const template = (...names: string[]) => ({
  type: 'TemplateProcessing',
  single: [...names.map((id) => ({ SpecialToken: { id, type_id: 0 } })), { Sequence: { id: 'A', type_id: 0 } }],
})

/** SentencePiece's way: a blank before every piece of text, dropped where a decoded text begins. */
const pieces = ['<s>', '</s>', '\u2581', 'a', 'b', '[', '\u2581a', '\u2581b', '\u2581[', '\u2581\u2581']
const sentencePiece = tokenizerFromJson(
  {
    added_tokens: ['<s>', '</s>'].map((content, id) => ({ id, content, special: true, normalized: false })),
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '\u2581' },
        { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' },
      ],
    },
    pre_tokenizer: null,
    post_processor: template('<s>'),
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      merges: [
        ['\u2581', 'a'],
        ['\u2581', 'b'],
        ['\u2581', '['],
        ['\u2581', '\u2581'],
      ],
    },
  },
  'tokenizer.json',
)
const [BOS, END, FIM] = [256, 257, 258]
const specials = ['<s>', '<|im_end|>', { content: '<fim>', special: false }]

const tokenizer = (postProcessor: object | null, bos?: string): Tokenizer =>
  tokenizerFromJson({ ...byteTokenizerJson(specials), post_processor: postProcessor }, 'tokenizer.json', { bos })

const withBos = tokenizer(template('<s>'))
const withoutBos = tokenizer(null)
const bytes = (text: string) => [...Buffer.from(text)]

interface Row {
  name: string
  tokenizer: Tokenizer
  text: string
  options?: PromptOptions
  expected: number[]
}

const rows: Row[] = [
  { name: 'BOS from the template', tokenizer: withBos, text: 'ab', expected: [BOS, ...bytes('ab')] },
  { name: 'BOS from add_bos_token', tokenizer: tokenizer(null, '<s>'), text: 'ab', expected: [BOS, ...bytes('ab')] },
  { name: 'a template without BOS', tokenizer: tokenizer(template(), '<s>'), text: 'ab', expected: bytes('ab') },
  { name: 'two tokens before every text', tokenizer: tokenizer(template('<fim>', '<s>')), text: 'x', expected: [FIM, BOS, ...bytes('x')] },
  { name: 'no BOS', tokenizer: withoutBos, text: 'ab', expected: bytes('ab') },
  { name: 'a text that begins with the BOS', tokenizer: withBos, text: '<s>ab', expected: [BOS, ...bytes('ab')] },
  { name: 'the BOS and nothing else', tokenizer: withBos, text: '<s>', expected: [BOS] },
  { name: 'two written BOS stay two', tokenizer: withBos, text: '<s><s>ab', expected: [BOS, BOS, ...bytes('ab')] },
  { name: 'the BOS in the middle', tokenizer: withBos, text: 'a<s>b', expected: [BOS, ...bytes('a'), BOS, ...bytes('b')] },
  {
    name: 'the BOS after a blank is not at the start',
    tokenizer: withBos,
    text: ' <s>a',
    expected: [BOS, ...bytes(' '), BOS, ...bytes('a')],
  },
  {
    name: 'a rendered turn',
    tokenizer: withBos,
    text: 'user\nhi<|im_end|>\n',
    expected: [BOS, ...bytes('user\nhi'), END, ...bytes('\n')],
  },
  { name: 'a token for filling in', tokenizer: withoutBos, text: '<fim>def f', expected: [FIM, ...bytes('def f')] },
  { name: 'half of a spelling', tokenizer: withBos, text: '<|im_end', expected: [BOS, ...bytes('<|im_end')] },
  { name: 'an empty text', tokenizer: withBos, text: '', expected: [BOS] },
  { name: 'characters of several bytes', tokenizer: withBos, text: 'é🦙', expected: [BOS, ...bytes('é🦙')] },
  {
    name: 'special tokens off',
    tokenizer: withBos,
    text: '<|im_end|>',
    options: { special: false },
    expected: [BOS, ...bytes('<|im_end|>')],
  },
  {
    name: 'special tokens off, BOS spelled',
    tokenizer: withBos,
    text: '<s>a',
    options: { special: false },
    expected: [BOS, ...bytes('<s>a')],
  },
  { name: 'BOS off', tokenizer: withBos, text: 'a<fim>', options: { bos: false }, expected: [...bytes('a'), FIM] },
  { name: 'both off', tokenizer: withBos, text: '<s>a', options: { special: false, bos: false }, expected: bytes('<s>a') },
  // SentencePiece: ids of pieces above.
  { name: 'SentencePiece', tokenizer: sentencePiece, text: 'a b', expected: [0, 6, 7] },
  { name: 'SentencePiece, BOS spelled', tokenizer: sentencePiece, text: '<s>a b', expected: [0, 6, 7] },
  { name: 'SentencePiece, as decoding writes it', tokenizer: sentencePiece, text: '<s> a b', expected: [0, 6, 7] },
  {
    name: 'SentencePiece, turns as decoding writes them',
    tokenizer: sentencePiece,
    text: '<s> [ a</s><s> [ b',
    expected: [0, 8, 6, 1, 0, 8, 7],
  },
  {
    name: 'SentencePiece, turns as a template writes them',
    tokenizer: sentencePiece,
    text: '<s>[ a</s><s>[ b',
    expected: [0, 8, 6, 1, 0, 8, 7],
  },
]

/** What each route gives the engine. */
async function seen(
  tokenizer: Tokenizer,
  use: (model: ServedModel, post: (path: string, body: object) => Promise<Json>) => Promise<unknown>,
  format: ChatFormat = plainFormat(tokenizer, {}),
) {
  const engine = scriptedEngine(tokenizer, () => 'a')
  const prompts: number[][] = []
  const generate: typeof engine.generate = (ids, options) => {
    prompts.push([...ids])
    return engine.generate(ids, options)
  }
  const architecture = { name: 'm', modelType: 'm', vocabSize: tokenizer.vocabSize, maxPositionEmbeddings: 65536, expertDtype: 'f32' }
  const watched = { context: engine.context, score: engine.score, load: () => engine.load(), close: async () => {}, generate }
  const model = { tokenizer, format, engine: watched, architecture, dispose() {} }
  const app = createApp({ models: [{ id: 'm', load: async () => model }] })
  const headers = { 'content-type': 'application/json' }
  await use(model, (path, body) =>
    jsonOf(app.fetch(new Request(`http://localhost${path}`, { method: 'POST', body: JSON.stringify({ model: 'm', ...body }), headers }))),
  )
  return prompts
}

for (const { name, tokenizer, text, options = {}, expected } of rows) {
  test(`${name}: function, library, completions, Ollama's raw mode, /tokenize`, async () => {
    assert.deepEqual(promptIds(tokenizer, text, options), expected)
    const { special: parse_special, bos: add_special_tokens } = options
    const prompts = await seen(tokenizer, async (model, post) => {
      const parts = model as unknown as Parameters<typeof withMethods>[0]
      await Array.fromAsync(withMethods(parts).generate(text, { ...options, maxTokens: 1 }))
      await post('/v1/completions', { prompt: text, max_tokens: 1, parse_special, add_special_tokens })
      if (text !== '' && options.bos !== false)
        await post('/api/generate', { prompt: text, raw: true, stream: false, parse_special, options: { num_predict: 1 } })
      assert.deepEqual((await post('/tokenize', { prompt: text, parse_special, add_special_tokens })).tokens, expected)
    })
    for (const ids of prompts) assert.deepEqual(ids, expected)
    assert.ok(prompts.length >= 2)
  })
}

test('a text of /tokenize stays text unless asked for otherwise; messages always do, with one BOS', async () => {
  const text = '<s>a<|im_end|>'
  const prompts = await seen(withBos, async (_, post) => {
    const tokens = async (body: object) => (await post('/tokenize', { content: text, ...body })).tokens
    assert.deepEqual(await tokens({}), bytes(text))
    assert.deepEqual(await tokens({ parse_special: true }), [BOS, ...bytes('a'), END])
    assert.deepEqual(await tokens({ add_special: true }), [BOS, ...bytes(text)])
    assert.deepEqual(await tokens({ add_special: true, parse_special: true }), [BOS, ...bytes('a'), END])
    await post('/v1/chat/completions', { messages: [{ role: 'user', content: text }], max_tokens: 1 })
    await post('/api/chat', { messages: [{ role: 'user', content: text }], stream: false, options: { num_predict: 1 } })
    await post('/v1/responses', { input: text, max_output_tokens: 1 })
  })
  assert.deepEqual(prompts, Array(3).fill([BOS, ...bytes(text)]))
})

test('ids are taken as they are', async () => {
  const prompts = await seen(withBos, async (_, post) => {
    await post('/v1/completions', { prompt: [104, 105], max_tokens: 1 })
    await post('/v1/completions', { prompt: [[BOS, 104]], max_tokens: 1 })
  })
  assert.deepEqual(prompts, [
    [104, 105],
    [BOS, 104],
  ])
})

test('a rendered conversation gives the same ids as a raw prompt, in every format', async () => {
  const harmony = byteTokenizer(harmonySpecials)
  const qwen = byteTokenizer(qwenSpecials)
  const turns =
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[ {{ m.content }} [{% else %}{{ m.content }}</s>{% endif %}{% endfor %}"
  const ending = { bosToken: '<s>', eosToken: '</s>' }
  const models: [Tokenizer, ChatFormat][] = [
    [harmony, harmonyFormat(harmony)],
    [qwen, qwenFormat(qwen, { thinking: 'switch', tools: 'json' })],
    [sentencePiece, templateFormat(sentencePiece, { chatTemplate: turns, ...ending })],
    [sentencePiece, templateFormat(sentencePiece, { chatTemplate: turns.replace('{{ bos_token }}', '{{ bos_token }} '), ...ending })],
    [
      withBos,
      templateFormat(withBos, {
        chatTemplate: `{{ bos_token }}{% for m in messages %}{{ m.content }}<|im_end|>\n{% endfor %}<fim>`,
        ...ending,
      }),
    ],
  ]
  const messages = [
    { role: 'user', content: 'a b' },
    { role: 'assistant', content: 'b a' },
    { role: 'user', content: 'a' },
  ]
  for (const [tokenizer, format] of models) {
    const prompts = await seen(
      tokenizer,
      async (_, post) => {
        const { prompt, tokens } = await post('/apply-template', { messages })
        assert.deepEqual((await post('/tokenize', { prompt })).tokens, tokens, prompt)
        await post('/v1/chat/completions', { messages, max_tokens: 1 })
        await post('/v1/completions', { prompt, max_tokens: 1 })
        await post('/api/generate', { prompt, raw: true, stream: false, options: { num_predict: 1 } })
      },
      format,
    )
    assert.equal(prompts.length, 3)
    for (const ids of prompts) assert.deepEqual(ids, prompts[0])
  }
})
