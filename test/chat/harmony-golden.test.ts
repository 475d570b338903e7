/**
 * Harmony against the package openai-harmony: on conversations of our own (test/fixtures/harmony/cases.json, made by
 * scripts/oracles/harmony.py), and on the published test data of openai/harmony where it lies beside the repository.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { harmonyFormat, renderHarmony, renderHarmonyForTraining } from '../../src/chat/formats/harmony/harmony.ts'
import { autoDropAnalysis } from '../../src/chat/formats/harmony/history.ts'
import { type HarmonyMessage, harmonyMarkers } from '../../src/chat/formats/harmony/message.ts'
import { developerText } from '../../src/chat/formats/harmony/prompt.ts'
import { HarmonyReader } from '../../src/chat/formats/harmony/reader.ts'
import { readJson } from '../../src/json/lossless.ts'
import { fromVector, hashOf, randomCase } from './harmony-random.ts'
import { o200kHarmony } from './o200k.ts'
import { publishedTokenizer } from './published.ts'

/** The conversations of openai/harmony's own tests, which are not part of the repository; read where they lie beside it. */
const published = new URL('../../../shared/vectors/', import.meta.url)
const read = (name: string) => readFileSync(new URL(name, published), 'utf8')

// biome-ignore lint/suspicious/noExplicitAny: the shape of a test file
type Json = any

function clean(message: Json): HarmonyMessage {
  return Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined)) as unknown as HarmonyMessage
}

function parse(ids: number[], role: HarmonyMessage['role'] | undefined, end: boolean) {
  const messages: HarmonyMessage[] = []
  const warnings: string[] = []
  const deltas: string[] = []
  let open: HarmonyMessage | undefined
  const reader = new HarmonyReader(
    tokenizer,
    harmonyMarkers(tokenizer),
    {
      begin: ({ rest, warnings: found, ...header }) => {
        warnings.push(...found.map(({ code }) => code))
        open = { ...header, content: '' }
      },
      text: (delta) => {
        deltas.push(delta)
        open!.content += delta
      },
      end: () => messages.push(clean(open!)),
      warn: (code) => warnings.push(code),
    },
    role,
  )
  for (const id of ids) reader.push(id)
  const current = open?.content
  if (end) reader.end()
  return { messages, warnings, deltas, current }
}

const tokenizer = o200kHarmony()
const own: Json[] = JSON.parse(readFileSync(new URL('../fixtures/harmony/cases.json', import.meta.url), 'utf8')).cases

/** The 23 files of openai/harmony and its 31 inline cases, in the shape of our own cases. */
function publishedCases(): Json[] {
  const goldenIds = JSON.parse(read('harmony-tokens.json'))
  const files = JSON.parse(read('harmony-conversations.json')).map((each: Json) => {
    const text = read(each.file).replaceAll('\r\n', '\n').trimEnd()
    const { tokens } = goldenIds[each.file.replace('harmony/', 'test-data/')]
    if (each.kind === 'render') return { ...each, name: each.file, text, tokens }
    const input = each.input === 'token_ids' ? text.split(/\s+/).map(Number) : [text]
    return { ...each, name: each.file, input, tokens, end_of_input: true, messages: each.conversation.messages }
  })
  const inline = JSON.parse(read('harmony-inline-cases.json'))
  assert.deepEqual([files.length, inline.length], [23, 31])
  return [...files, ...inline]
}

function check(item: Json): void {
  if (item.kind === 'render') {
    const messages = item.conversation.messages.map((message: Json) => fromVector(message, item.conversation.messages))
    const kept = item.config.auto_drop_analysis ? autoDropAnalysis(messages) : messages
    const ids = item.operation === 'training' ? renderHarmonyForTraining(tokenizer, kept) : renderHarmony(tokenizer, kept)
    if (item.operation === 'completion') ids.push(harmonyMarkers(tokenizer).start, ...tokenizer.encode('assistant'))
    if (item.text !== undefined) assert.equal(tokenizer.decode(ids), item.text)
    assert.deepEqual(ids, item.tokens)
    if (item.api) assert.deepEqual(harmonyFormat(tokenizer).render(item.api.messages, item.api.options), item.tokens)
  } else if (item.kind === 'types') {
    const tool = { ...(readJson(item.function) as Json), name: 'f' }
    assert.equal(developerText('', [{ name: 'functions', tools: [tool] }]), item.text)
  } else if (item.kind === 'tokenizer') {
    // Entries without a text are about decoding by the library's rules and have no counterpart here.
    if (item.text !== undefined)
      assert.deepEqual(item.special_tokens === 'all' ? tokenizer.encodeTemplate(item.text) : tokenizer.encode(item.text), item.tokens)
  } else {
    const ids = item.input.flatMap((piece: string | number) => (typeof piece === 'number' ? [piece] : tokenizer.encodeTemplate(piece)))
    if (item.tokens) assert.deepEqual(ids, item.tokens)
    const { messages, warnings, deltas, current } = parse(ids, item.config.role ?? undefined, item.end_of_input)
    // What is an error for a strict parser is text and a warning for this one.
    if (item.error) assert.ok(warnings.length > 0 && messages.length > 0)
    else
      assert.deepEqual(
        messages,
        item.messages.map((message: Json) => fromVector(message, item.messages)),
      )
    if (item.current_content) assert.equal(current, item.current_content)
    if (item.deltas_joined) assert.equal(deltas.join(''), item.deltas_joined)
    if (item.config.strict && !item.error)
      assert.deepEqual(
        warnings.filter((code) => code !== 'missing-channel'),
        [],
      )
  }
}

test('conversations of our own, as openai-harmony renders and reads them', async (t) => {
  assert.equal(own.length, 139)
  for (const item of own) await t.test(item.name, () => check(item))
})

test('200 random conversations and requests, in every way of rendering', async () => {
  const published = await publishedTokenizer()
  const lines = readFileSync(new URL('../fixtures/harmony/random.jsonl', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
  assert.equal(lines.length, 200)
  for (const line of lines) {
    const { text, hashes, ids } = randomCase(line, published)
    // The text says where a difference is; the hash is the proof, because text may spell markers.
    assert.equal(published.decode(ids.keep ?? ids.prompt!), text)
    for (const [way, hash] of Object.entries(hashes)) assert.equal(hashOf(ids[way]!), hash, way)
  }
})

// The repository holds cases of its own for each of these; the published ones are further data, not the only evidence.
if (existsSync(published))
  test('23 golden files and 31 inline cases of openai/harmony', async (t) => {
    for (const item of publishedCases()) await t.test(item.name, () => check(item))
  })

if (existsSync(published))
  test('a conversation of the API becomes the published prompt', () => {
    const goldenIds = JSON.parse(read('harmony-tokens.json'))
    const ids = (name: string) => goldenIds[`test-data/${name}.txt`].tokens
    const format = harmonyFormat(tokenizer)
    assert.deepEqual(format.render([{ role: 'user', content: 'What is 2 + 2?' }], {}), ids('test_simple_convo'))
    const capital = { role: 'user' as const, content: 'What is the capital of the largest country in the world?' }
    const robot = { role: 'system' as const, content: "Answer the user's questions like a robot." }
    assert.deepEqual(format.render([robot, capital], { thinking: 'high' }), ids('test_simple_convo_high_effort'))
    const parameters = {
      type: 'object',
      properties: { location: { type: 'string' } },
      required: ['location'],
      additionalProperties: false,
      $schema: 'x',
    }
    const description =
      "Use this tool to lookup the weather in a given location. Call it with the parameter 'location', can be any textual description of a location."
    const tools = [{ name: 'lookup_weather', description, parameters }]
    assert.deepEqual(
      format.render([], { builtinTools: ['browser'], tools, currentDate: '2025-06-28' }),
      ids('test_browser_and_function_tool'),
    )
  })
