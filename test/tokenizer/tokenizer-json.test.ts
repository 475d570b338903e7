/** Loading: our own layouts, GPT-2's files, special tokens, trusted and untrusted ranges, and malformed files. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byteTokenizerJson, characterTokenizerJson } from '../../src/tokenizer/build.ts'
import { tokenizerFiles } from '../../src/tokenizer/files.ts'
import { tokenizerFromGpt2 } from '../../src/tokenizer/gpt2-files.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { mixedText } from './mixed-text.ts'

const specials = ['<|start|>', '<|end|>', { content: '<think>', special: false }]
const bytes = tokenizerFromJson(JSON.parse(JSON.stringify(byteTokenizerJson(specials))), 'tokenizer.json')
const files = (content: Record<string, unknown>) => (name: string) =>
  Promise.resolve(
    name in content
      ? new TextEncoder().encode(typeof content[name] === 'string' ? (content[name] as string) : JSON.stringify(content[name]))
      : undefined,
  )

test('byte tokenizer: ids are the bytes, then the specials', () => {
  const text = mixedText(30_000, 5)
  assert.deepEqual(bytes.encode(text), [...new TextEncoder().encode(text)])
  assert.equal(bytes.decode(bytes.encode(text)), text.toWellFormed())
  assert.equal(bytes.vocabSize, 259)
  assert.deepEqual(
    [...bytes.specials],
    [
      ['<|start|>', 256],
      ['<|end|>', 257],
      ['<think>', 258],
    ],
  )
  assert.deepEqual(bytes.encodeTemplate('a<|end|><think>b'), [97, 257, 258, 98])
  for (let id = 0; id < 256; id++) assert.deepEqual([...bytes.bytes(id)], [id])
  assert.throws(() => bytes.bytes(259), { name: 'RangeError', message: /259.*259 ids/ })
  assert.throws(() => byteTokenizerJson(['<a>', '<a>']), RangeError)
})

test('character tokenizer: ids in order of code point, any other character is refused', () => {
  const tokenizer = tokenizerFromJson(JSON.parse(JSON.stringify(characterTokenizerJson('hello 10€😀\n', ['<|end|>']))), 'tokenizer.json')
  assert.equal(tokenizer.vocabSize, 11)
  assert.deepEqual(tokenizer.encode('\n 01€😀'), [0, 1, 2, 3, 8, 9])
  assert.deepEqual(tokenizer.encodeTemplate('h<|end|>'), [5, 10])
  assert.equal(tokenizer.decode(tokenizer.encode('hello 😀')), 'hello 😀')
  assert.throws(() => tokenizer.encode('help'), { name: 'RangeError', message: /tokenizer\.json.*"p"/ })
})

test('untrusted ranges of a template keep the spellings of special tokens', () => {
  const text = '<|start|>user <|end|><|end|>'
  const ids = (ranges: [number, number][]) => bytes.encodeTemplate(text, ranges)
  const spelled = [...new TextEncoder().encode('<|end|>')]
  const head = [256, ...new TextEncoder().encode('user ')]
  assert.deepEqual(ids([]), [...head, 257, 257])
  assert.deepEqual(ids([[14, 21]]), [...head, ...spelled, 257])
  assert.deepEqual(ids([[20, 21]]), [...head, ...spelled, 257]) // a single character is enough
  assert.deepEqual(ids([[9, 14]]), [...head, 257, 257])
  assert.deepEqual(ids([[0, text.length]]), bytes.encode(text))
  assert.deepEqual(
    ids([
      [14, 15],
      [27, 28],
    ]),
    [...head, ...spelled, ...spelled],
  )
})

test('text never becomes a special token, even if the vocabulary could spell it', () => {
  const model = { type: 'BPE', ignore_merges: true, vocab: { a: 0, b: 1, ab: 2, c: 3, '<unk>': 4, bb: 5 }, merges: [['a', 'b'], 'b b'] }
  const added_tokens = [
    { id: 2, content: 'ab', special: true },
    { id: 3, content: 'c', special: true },
    { id: 5, content: 'bb', special: false },
  ]
  const tokenizer = tokenizerFromJson({ added_tokens, model: { ...model, unk_token: '<unk>' }, decoder: { type: 'Fuse' } }, 'hostile.json')
  assert.deepEqual(tokenizer.encode('ab'), [0, 1])
  assert.deepEqual(tokenizer.encode('abc'), [0, 1, 4])
  assert.deepEqual(tokenizer.encodeTemplate('abc'), [2, 3])
  assert.deepEqual(tokenizer.encode('abb'), [0, 5]) // kept whole everywhere: an entry of the vocabulary that is not special
  assert.deepEqual([...tokenizer.specials.keys()], ['ab', 'c'])
})

test('GPT-2 files, and which file of a directory is taken', async () => {
  const vocab = { ...(byteTokenizerJson([]).model as object as { vocab: object }) }.vocab
  const gpt2 = { ...vocab, he: 256, Ġhe: 257, '<|endoftext|>': 258 }
  const merges = '#version: 0.2\nh e\nĠ he\n'
  const tokenizer = tokenizerFromGpt2(gpt2, merges)
  assert.deepEqual(tokenizer.encode('he he'), [256, 257])
  assert.deepEqual(tokenizer.encodeTemplate('he<|endoftext|>'), [256, 258])
  assert.deepEqual(
    (
      await tokenizerFiles(
        files({ 'vocab.json': gpt2, 'merges.txt': merges, 'tokenizer_config.json': { tokenizer_class: 'GPT2Tokenizer' } }),
      )
    ).encode('he he'),
    [256, 257],
  )
  assert.deepEqual((await tokenizerFiles(files({ 'encoder.json': gpt2, 'vocab.bpe': merges }))).encode('he he'), [256, 257])
  assert.equal(
    (await tokenizerFiles(files({ 'tokenizer.json': byteTokenizerJson(specials), 'vocab.json': gpt2, 'merges.txt': merges }))).vocabSize,
    259,
  )
  await assert.rejects(tokenizerFiles(files({})), /expected tokenizer\.json/)
  await assert.rejects(
    tokenizerFiles(files({ 'vocab.json': gpt2, 'merges.txt': merges, 'tokenizer_config.json': { tokenizer_class: 'Qwen2Tokenizer' } })),
    /Qwen2Tokenizer/,
  )
  await assert.rejects(tokenizerFiles(files({ 'tokenizer.json': '{"model":' })), /tokenizer\.json: not valid JSON/)
})

test('the ids before every text come from the template or from tokenizer_config.json', async () => {
  const json = byteTokenizerJson(['<s>'])
  const post_processor = {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
  }
  assert.deepEqual(tokenizerFromJson({ ...json, post_processor }, 't').prefix, [256])
  assert.deepEqual(
    tokenizerFromJson({ ...json, post_processor: { type: 'Sequence', processors: [{ type: 'ByteLevel' }, post_processor] } }, 't').prefix,
    [256],
  )
  assert.deepEqual(bytes.prefix, [])
  for (const bos_token of ['<s>', { content: '<s>' }]) {
    const config = { add_bos_token: true, bos_token }
    assert.deepEqual((await tokenizerFiles(files({ 'tokenizer.json': json, 'tokenizer_config.json': config }))).prefix, [256])
  }
  assert.deepEqual(
    (await tokenizerFiles(files({ 'tokenizer.json': json, 'tokenizer_config.json': { add_bos_token: false, bos_token: '<s>' } }))).prefix,
    [],
  )
})

test('malformed and unsupported files name the field', () => {
  const good = byteTokenizerJson(['<s>']) as unknown as Record<string, unknown> & { model: Record<string, unknown> }
  const model = (change: object) => ({ ...good, model: { ...good.model, ...change } })
  const added = (change: object) => ({ ...good, added_tokens: [{ id: 256, content: '<s>', special: true, ...change }] })
  const bad: [unknown, RegExp][] = [
    [null, /\(whole file\): expected a JSON object, got null/],
    [[], /expected a JSON object, got an array of 0/],
    [{}, /model: expected an object, got nothing/],
    [model({ type: 'Unigram' }), /model\.type: expected BPE, got "Unigram"/],
    [model({ vocab: [] }), /model\.vocab: expected an object/],
    [model({ vocab: { a: -1 } }), /model\.vocab\."a": expected an id from 0/],
    [model({ vocab: { a: 1e12 } }), /model\.vocab\."a"/],
    [model({ vocab: { a: 1.5 } }), /model\.vocab\."a"/],
    [model({ vocab: { a: 1, b: 1 } }), /model\.vocab\."b": expected an id of its own/],
    [model({ merges: {} }), /model\.merges: expected an array/],
    [model({ merges: ['a'] }), /model\.merges\[0\]: expected two entries, got "a"/],
    [model({ merges: [['a', 7]] }), /model\.merges\[0\]: expected two entries/],
    [model({ merges: ['a b'] }), /model\.merges\[0\]: expected entries of the vocabulary, got "ab"/],
    [model({ dropout: 0.1 }), /model\.dropout/],
    [model({ end_of_word_suffix: '</w>' }), /model\.end_of_word_suffix/],
    [model({ unk_token: '<no>' }), /model\.unk_token/],
    [added({ id: 5 }), /added_tokens\[0\]\.id: expected an id of its own/],
    [added({ id: '256' }), /added_tokens\[0\]\.id: expected an integer/],
    [added({ id: 1e15 }), /added_tokens\[0\]\.id: expected at most/],
    [added({ content: '' }), /added_tokens\[0\]\.content/],
    [{ ...good, added_tokens: 'x' }, /added_tokens: expected an array/],
    [{ ...good, normalizer: { type: 'Precompiled' } }, /normalizer\.type: expected one of NFC.*got "Precompiled"/],
    [{ ...good, normalizer: { type: 'Sequence', normalizers: [{ type: 'Lowercase' }] } }, /normalizer\.normalizers\[0\]\.type/],
    [{ ...good, pre_tokenizer: { type: 'BertPreTokenizer' } }, /pre_tokenizer\.type/],
    [
      { ...good, pre_tokenizer: { type: 'Split', pattern: { Regex: '(?>a)' }, behavior: 'Isolated' } },
      /pre_tokenizer\.pattern\.Regex: expected a supported expression/,
    ],
    [{ ...good, pre_tokenizer: { type: 'Split', pattern: { String: 'a' }, behavior: 'Odd' } }, /pre_tokenizer\.behavior/],
    [{ ...good, pre_tokenizer: { type: 'Split', pattern: { String: 'a' }, behavior: 'Isolated', invert: true } }, /pre_tokenizer\.invert/],
    [{ ...good, decoder: { type: 'WordPiece' } }, /decoder\.type/],
    [
      { ...good, post_processor: { type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<no>' } }] } },
      /post_processor\.single\[0\]\.SpecialToken/,
    ],
  ]
  for (const [json, message] of bad)
    assert.throws(
      () => tokenizerFromJson(json, 'bad.json'),
      (error: Error) => error instanceof TypeError && error.message.startsWith('bad.json: ') && message.test(error.message),
      `${message}`,
    )
})
