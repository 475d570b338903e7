/** Every layout of a repository and every state of a cache: a pull ends in the right model or in an error that names the cause. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, test } from 'node:test'
import { readArchitecture } from '../../src/checkpoint/load.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { damagedFiles, dropDamaged } from '../../src/hub/blobs-node.ts'
import { findCachedModel, findSnapshot, listCachedModels } from '../../src/hub/cache-node.ts'
import { HubError } from '../../src/hub/http.ts'
import { type PullEvent, type PullOptions, pull, UnsupportedModelError } from '../../src/hub/hub-node.ts'
import { locateModel } from '../../src/hub/locate-node.ts'
import { checkModel } from '../../src/load-model.ts'
import { byteTokenizerJson } from '../../src/tokenizer/build.ts'
import { loadCheckpoint } from '../checkpoint/load-directory.ts'
import { memorySink } from '../checkpoint/memory-sink.ts'
import { COMMIT, fakeHub, hashes, MODEL } from './fake-hub.ts'

const fixtures = join(import.meta.dirname, '../fixtures/checkpoints')
const temporary = mkdtempSync(join(tmpdir(), 'lineage-layouts-'))
const hub = await fakeHub()
const answers = { head: hub.head }
after(async () => {
  await hub.close()
  rmSync(temporary, { recursive: true, force: true })
})

type Files = Record<string, string | Buffer>
const fixtureFile = (fixture: string, name: string) => readFileSync(join(fixtures, fixture, name))
const INDEX = 'model.safetensors.index.json'
const tokenizer = JSON.stringify(byteTokenizerJson([]))

/** A supported model in two shards. */
const SHARDED: Files = {
  'config.json': fixtureFile('tiny-qwen3-moe', 'config.json'),
  'tokenizer.json': tokenizer,
  [INDEX]: fixtureFile('tiny-qwen3-moe', INDEX),
  'model-00001-of-00002.safetensors': fixtureFile('tiny-qwen3-moe', 'model-00001-of-00002.safetensors'),
  'model-00002-of-00002.safetensors': fixtureFile('tiny-qwen3-moe', 'model-00002-of-00002.safetensors'),
}
/** A supported model in one file. */
const SINGLE: Files = {
  'config.json': fixtureFile('tiny-llama', 'config.json'),
  'tokenizer.json': tokenizer,
  'model.safetensors': fixtureFile('tiny-llama', 'model.safetensors'),
}

function serve(files: Files): void {
  hub.files.clear()
  for (const [name, content] of Object.entries(files)) hub.files.set(name, Buffer.from(content))
}

beforeEach(() => {
  serve(SHARDED)
  hub.requests.length = 0
  hub.headerRequests.length = 0
  hub.bytesSent = 0
  hub.listing = () => false
  hub.misbehave = () => false
  hub.head = answers.head
})

function setUp(options: PullOptions = {}) {
  const cache = mkdtempSync(join(temporary, 'cache-'))
  const env = { HF_HUB_CACHE: cache, HF_ENDPOINT: hub.url, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }
  const events: PullEvent[] = []
  const base: PullOptions = { env, http: { retryMs: 2, tries: 2 }, onEvent: (event) => events.push(event), check: checkModel }
  const run = (more: PullOptions = {}) => pull(MODEL, { ...base, ...options, ...more })
  const folder = join(cache, 'models--tests--tiny-qwen3-moe')
  const blob = (name: string) => realpathSync(join(folder, 'snapshots', COMMIT, name))
  return { cache, env, events, run, folder, blob, blobs: join(folder, 'blobs'), snapshot: join(folder, 'snapshots', COMMIT) }
}

/** The weights that a directory holds. */
async function weights(directory: string): Promise<Map<string, Buffer>> {
  const sink = memorySink()
  await loadCheckpoint(directory, sink)
  return new Map([...sink.held].map(([name, { bytes }]) => [name, Buffer.from(bytes)]))
}
const EXPECTED = { sharded: await weights(join(fixtures, 'tiny-qwen3-moe')), single: await weights(join(fixtures, 'tiny-llama')) }

const renamed = (files: Files, change: (name: string) => string): Files =>
  Object.fromEntries(
    Object.entries(files).map(([name, content]) => [
      change(name),
      name === INDEX ? String(content).replace(/model-\d+-of-\d+\.safetensors/g, change) : content,
    ]),
  )
const without = (files: Files, name: string): Files => Object.fromEntries(Object.entries(files).filter(([other]) => other !== name))
const config = (files: Files, changes: object): string => JSON.stringify({ ...JSON.parse(String(files['config.json'])), ...changes })

describe('layouts that are the right model', () => {
  const cases: [string, Files, Map<string, Buffer>][] = [
    ['two shards', SHARDED, EXPECTED.sharded],
    ['one file', SINGLE, EXPECTED.single],
    ['six digits behind "of"', renamed(SHARDED, (name) => name.replace('-of-00002', '-of-000002')), EXPECTED.sharded],
    ['six digits on both sides', renamed(SHARDED, (name) => name.replace(/0000(\d)/g, '00000$1')), EXPECTED.sharded],
    ['two hyphens', renamed(SHARDED, (name) => name.replace('model-0', 'model--0')), EXPECTED.sharded],
    ['names of its own in the index', renamed(SHARDED, (name) => name.replace(/model-0000(\d)-of-00002/, 'part_$1')), EXPECTED.sharded],
    ['numbered shards without an index', without(SHARDED, INDEX), EXPECTED.sharded],
    ['one file of another name', renamed(SINGLE, (name) => name.replace('model.safe', 'weights.safe')), EXPECTED.single],
    ['no tokenizer', without(SINGLE, 'tokenizer.json'), EXPECTED.single],
    ['other formats beside it', { ...SINGLE, 'pytorch_model.bin': 'x', 'model.gguf': 'x', 'onnx/model.safetensors': 'x' }, EXPECTED.single],
    ['a consolidated file beside shards', { ...SHARDED, 'consolidated.safetensors': 'x' }, EXPECTED.sharded],
    [
      'an index that names one file',
      { ...SINGLE, [INDEX]: JSON.stringify({ weight_map: { 'model.norm.weight': 'model.safetensors' } }) },
      EXPECTED.single,
    ],
  ]
  for (const [name, files, expected] of cases)
    test(name, async () => {
      serve(files)
      const { run, cache } = setUp()
      const { directory, problem } = await run()
      assert.equal(problem, undefined)
      assert.deepEqual(await weights(directory), expected)
      assert.equal(await findCachedModel(MODEL, { cache }), directory)
      assert.equal((await run()).downloadedBytes, 0)
    })
})

describe('GGUF files', () => {
  const gguf = (name: string) => readFileSync(join(import.meta.dirname, `../fixtures/gguf/tiny-${name}.gguf`))
  const REPOSITORY: Files = {
    'README.md': 'x',
    'tiny-Q4_K_M.gguf': gguf('llama'),
    'tiny-Q4_K_S.gguf': gguf('qwen2'),
    'tiny.Q8_0.gguf': gguf('qwen3'),
    'BF16/tiny-BF16.gguf': gguf('smollm3'),
    'mmproj-F16.gguf': 'x',
  }
  const family = async (path: string) => (await readArchitecture(await fileFolder(path))).modelType
  const cases: [wanted: string, file: string, family: string][] = [
    ['', 'tiny-Q4_K_M.gguf', 'llama'],
    [':Q4_K_M', 'tiny-Q4_K_M.gguf', 'llama'],
    [':q4_k_s', 'tiny-Q4_K_S.gguf', 'qwen2'],
    [':Q8_0', 'tiny.Q8_0.gguf', 'qwen3'],
    [':BF16', 'BF16/tiny-BF16.gguf', 'smollm3'],
    [':tiny.Q8_0.gguf', 'tiny.Q8_0.gguf', 'qwen3'],
  ]
  for (const [wanted, file, modelType] of cases)
    test(`${wanted || 'nothing'} means ${file}`, async () => {
      serve(REPOSITORY)
      const { cache, env, snapshot } = setUp()
      const { directory, files, problem } = await pull(MODEL + wanted, { env })
      assert.equal(problem, undefined)
      assert.deepEqual([directory, files], [join(snapshot, file), [file]])
      assert.equal(await family(directory), modelType)
      assert.equal((await pull(MODEL + wanted, { env })).downloadedBytes, 0)
      assert.equal((await findSnapshot(MODEL + wanted, { cache }))?.directory, directory)
      assert.equal((await listCachedModels(cache))[0]?.state, 'complete')
      for (const prefix of ['hf.co/', 'huggingface.co/', 'https://huggingface.co/'])
        assert.deepEqual(await locateModel(prefix + MODEL + wanted, { cache }), { id: MODEL + wanted, directory, note: undefined })
    })

  test('what is not there is refused with the choices', async () => {
    serve(REPOSITORY)
    const { env } = setUp()
    await assert.rejects(pull(`${MODEL}:IQ3_M`, { env }), /a GGUF file for "IQ3_M"; it has BF16\/tiny-BF16\.gguf, tiny-Q4_K_M\.gguf/)
    await assert.rejects(pull(`${MODEL}:Q4_K`, { env }), /a GGUF file for "Q4_K"/)
    assert.equal(hub.requests.length, 0)
  })

  test('a damaged header is repaired by the same pull', async () => {
    serve({ 'tiny-Q8_0.gguf': gguf('llama') })
    const { env, blob } = setUp()
    await pull(MODEL, { env })
    const bytes = readFileSync(blob('tiny-Q8_0.gguf'))
    writeFileSync(blob('tiny-Q8_0.gguf'), bytes.fill(0xff, 40, 56))
    const { directory, downloadedBytes } = await pull(MODEL, { env })
    assert.equal(downloadedBytes, bytes.byteLength)
    assert.equal(await family(directory), 'llama')
  })

  test('one whose configuration is refused is listed as unsupported beside the others', async () => {
    serve(REPOSITORY)
    const { env, cache } = setUp()
    const { directory } = await pull(MODEL, { env })
    const snapshots = join(cache, 'models--org--odd/snapshots')
    for (const commit of [COMMIT, 'b'.repeat(40)]) {
      mkdirSync(join(snapshots, commit), { recursive: true })
      // 3 heads of keys do not divide the heads of queries.
      const odd = gguf('llama')
      const key = odd.indexOf('llama.attention.head_count_kv')
      odd.writeUInt32LE(3, key + 'llama.attention.head_count_kv'.length + 4)
      writeFileSync(join(snapshots, commit, 'odd.gguf'), odd)
    }
    await assert.rejects(readArchitecture(await fileFolder(join(snapshots, COMMIT, 'odd.gguf'))), { name: 'ConfigError' })
    assert.deepEqual(
      (await listCachedModels(cache)).map(({ id, state }) => [id, state]),
      [
        ['org/odd', 'unsupported'],
        [MODEL, 'complete'],
      ],
    )
    assert.equal((await findSnapshot(MODEL, { cache }))?.directory, directory)
    assert.match((await findSnapshot('org/odd', { cache }))!.directory, /odd\.gguf$/)
  })

  test('an interrupted download continues', async () => {
    serve(REPOSITORY)
    const { env } = setUp()
    let pieces = 0
    hub.misbehave = (_, response) => {
      if (++pieces <= 6) return false
      response.destroy()
      return true
    }
    await assert.rejects(pull(`${MODEL}:Q8_0`, { env, pieceBytes: 64 << 10, connections: 1, http: { tries: 1 } }))
    hub.misbehave = () => false
    const { downloadedBytes, totalBytes, directory } = await pull(`${MODEL}:Q8_0`, { env, pieceBytes: 64 << 10 })
    assert.ok(downloadedBytes < totalBytes, `${downloadedBytes} of ${totalBytes}`)
    assert.equal(await family(directory), 'qwen3')
  })
})

describe('layouts that are refused before any weight is fetched', () => {
  const integer = Buffer.from(
    String(fixtureFile('tiny-llama', 'model.safetensors').toString('latin1')).replaceAll('"BF16"', '"I16" '),
    'latin1',
  )
  const adapter = JSON.stringify({ base_model_name_or_path: 'some/base' })
  const onlyText = without(SINGLE, 'model.safetensors')
  const cases: [string, Files, RegExp][] = [
    [
      'a shard that the index names is missing',
      without(SHARDED, 'model-00002-of-00002.safetensors'),
      /names model-00002-of-00002\.safetensors, which the repository does not have/,
    ],
    [
      'a numbered shard is missing',
      without(without(SHARDED, INDEX), 'model-00001-of-00002.safetensors'),
      /model-00001-of-00002\.safetensors: expected the shard of the numbered set/,
    ],
    ['another family', { ...SHARDED, 'config.json': config(SHARDED, { model_type: 'rwkv' }) }, /model_type: .*got "rwkv"/],
    [
      'a quantisation',
      { ...SINGLE, 'config.json': config(SINGLE, { quantization_config: { quant_method: 'bitsandbytes' } }) },
      /quantization_config/,
    ],
    [
      'more layers than tensors',
      { ...SINGLE, 'config.json': config(SINGLE, { num_hidden_layers: 9 }) },
      /differences: missing: model\.layers\./,
    ],
    ['other shapes', { ...SINGLE, 'config.json': config(SINGLE, { intermediate_size: 7 }) }, /wrong shape/],
    ['other types of numbers', { ...SINGLE, 'model.safetensors': integer }, /wrong dtype: .* is I16/],
    ['no config.json', without(SINGLE, 'config.json'), /no config\.json/],
    [
      'a GGUF file that is none',
      { 'config.json': SINGLE['config.json']!, 'model-Q8_0.gguf': 'x' },
      /model-Q8_0\.gguf: expected a GGUF file/,
    ],
    [
      'GGUF files without a usual one',
      { 'a-Q2_K.gguf': 'x', 'a-Q8_0.gguf': 'x' },
      /one GGUF file to be named; it has a-Q2_K\.gguf, a-Q8_0\.gguf/,
    ],
    ['pickles alone', { 'config.json': SINGLE['config.json']!, 'pytorch_model.bin': 'x' }, /PyTorch pickle files \(pytorch_model\.bin\)/],
    ['ONNX alone', { ...onlyText, 'model.onnx': 'x' }, /ONNX files/],
    ['no weights at all', onlyText, /no safetensors file/],
    ['an adapter', { 'adapter_config.json': adapter, 'adapter_model.safetensors': 'x' }, /adapter \(LoRA\) for some\/base/],
    [
      'an adapter with a config.json',
      { ...onlyText, 'adapter_config.json': adapter, 'adapter_model.safetensors': 'x' },
      /adapter \(LoRA\) for some\/base/,
    ],
    ['a pointer as config.json', { ...SINGLE, 'config.json': 'version https://git-lfs.github.com/spec/v1\noid x' }, /Git LFS pointer/],
    [
      'a pointer as weights',
      { ...SINGLE, 'model.safetensors': `version https://git-lfs.github.com/spec/v1\n${' '.repeat(40_000)}` },
      /Git LFS pointer/,
    ],
    ['a page as index', { ...SHARDED, [INDEX]: '<!DOCTYPE html><html>' }, /HTML page/],
    ['an index that leaves the folder', { ...SHARDED, [INDEX]: '{"weight_map": {"a": "../x.safetensors"}}' }, /plain name/],
    [
      'a damaged header',
      { ...SINGLE, 'model.safetensors': Buffer.concat([Buffer.from([9, 0, 0, 0, 0, 0, 0, 0]), Buffer.alloc(40_000, 'x')]) },
      /JSON header/,
    ],
    ['a tokenizer that nobody reads', { ...SINGLE, 'tokenizer.json': '{"model": {"type": "Nonsense"}}' }, /tokenizer\.json/],
    [
      'several files without an index',
      { ...renamed(SINGLE, (name) => name.replace('model.safe', 'a.safe')), 'b.safetensors': 'x' },
      /ambiguous/,
    ],
  ]
  for (const [name, files, message] of cases)
    test(name, async () => {
      serve(files)
      const { run, cache } = setUp()
      await assert.rejects(run(), (error: Error) => {
        assert.ok(error instanceof UnsupportedModelError, `${error.name}: ${error.message}`)
        assert.match(error.message, message)
        return true
      })
      assert.deepEqual(
        hub.requests.filter((request) => request.name.endsWith('.safetensors')),
        [],
      )
      assert.ok(hub.headerRequests.length <= 2)
      assert.deepEqual(await listCachedModels(cache), [], 'nothing stays in the cache')
    })

  test('anyway: all files come, the problem is said, and no other command takes it for a model that can be loaded', async () => {
    serve({ ...SINGLE, 'config.json': config(SINGLE, { model_type: 'rwkv' }) })
    const { run, cache } = setUp({ anyway: true })
    const { directory, problem } = await run()
    assert.match(problem!.message, /got "rwkv"/)
    assert.ok(existsSync(join(directory, 'model.safetensors')))
    const { problem: again, downloadedBytes } = await run()
    assert.match(again!.message, /got "rwkv"/)
    assert.equal(downloadedBytes, 0)
    await assert.rejects(run({ anyway: false }), UnsupportedModelError)
    assert.ok(existsSync(join(directory, 'model.safetensors')), 'what was there stays')
    assert.equal((await listCachedModels(cache))[0]!.state, 'unsupported')
  })
})

describe('mirrors', () => {
  const bareListing = () => {
    hub.listing = (_, response) => {
      const siblings = [...hub.files.keys()].map((rfilename) => ({ rfilename }))
      response.end(JSON.stringify({ sha: COMMIT, siblings }))
      return true
    }
  }
  test('names without sizes and hashes: the headers of the files say them', async () => {
    bareListing()
    const { run } = setUp()
    assert.deepEqual(await weights((await run()).directory), EXPECTED.sharded)
  })
  test('no hash anywhere: named, and nothing is trusted', async () => {
    bareListing()
    for (const head of [{}, { etag: '"abc"' }, { etag: 'W/"../../x"' }, { etag: `"${'z'.repeat(64)}"` }]) {
      hub.head = () => head as Record<string, string>
      await assert.rejects(setUp().run(), /config\.json: expected size and hash of the file/)
    }
  })
})

/** What a script prints in a process of its own, errors too. */
async function output(script: string, env: Record<string, string>): Promise<string> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { env: { PATH: process.env.PATH, ...env } })
  let out = ''
  child.stdout.on('data', (data) => (out += data))
  child.stderr.on('data', (data) => (out += data))
  await new Promise((resolve) => child.on('close', resolve))
  return out
}

describe('what is in the cache already', () => {
  const shard = 'model-00001-of-00002.safetensors'
  const damage = (path: string, from: number) => {
    const bytes = readFileSync(path)
    bytes.fill(0x3f, from)
    writeFileSync(path, bytes)
  }

  for (const [name, file, from] of [
    ['a shard from its header on', shard, 0],
    ['both ends of a header', 'model-00002-of-00002.safetensors', 4],
    ['config.json', 'config.json', 0],
    ['the end of config.json', 'config.json', 900],
    ['the index', INDEX, 100],
    ['the tokenizer', 'tokenizer.json', 50],
  ] as const)
    test(`damaged and of the right size: ${name}. A pull repairs it`, async () => {
      const { run, blob, events } = setUp()
      const { directory } = await run()
      damage(blob(file), from)
      const again = await run()
      assert.ok(again.downloadedBytes > 0)
      assert.ok(events.some((event) => event.kind === 'damaged' && event.name === file))
      assert.deepEqual(await weights(directory), EXPECTED.sharded)
      assert.ok(readFileSync(join(directory, file)).equals(hub.files.get(file)!))
    })

  test('damaged numbers that no loader notices: --verify finds and repairs them', async () => {
    const { run, blob, events, snapshot } = setUp()
    await run()
    damage(blob(shard), 200_000)
    assert.equal((await run()).downloadedBytes, 0)
    assert.deepEqual(
      (await damagedFiles(snapshot)).map(({ name }) => name),
      [shard],
    )
    const verified = await run({ verify: true })
    assert.equal(verified.downloadedBytes, hub.files.get(shard)!.byteLength)
    assert.ok(events.some((event) => event.kind === 'damaged' && event.name === shard))
    assert.deepEqual(await weights(verified.directory), EXPECTED.sharded)
    assert.equal((await run({ verify: true })).downloadedBytes, 0)
  })

  test('--verify without a network names the damaged files', async () => {
    const { run, blob, env } = setUp()
    await run()
    const offline = { env: { ...env, HF_HUB_OFFLINE: '1' }, verify: true }
    assert.equal((await run(offline)).downloadedBytes, 0)
    damage(blob(shard), 200_000)
    await assert.rejects(run(offline), /damaged in the cache: model-00001-of-00002\.safetensors/)
  })

  test('a damaged file is dropped when loading fails; the next pull fetches it', async () => {
    const { run, blob, cache, snapshot } = setUp()
    await run()
    const clean = await dropDamaged(snapshot, new Error('else'))
    assert.deepEqual(clean, [])
    damage(blob(shard), 0)
    const located = await locateModel(MODEL, { cache })
    assert.ok(!('directory' in located) && located.problem, 'the damage is said instead of "not on this machine"')
    assert.deepEqual(await dropDamaged(snapshot, (located as { problem: Error }).problem), [shard])
    assert.deepEqual(await weights((await run()).directory), EXPECTED.sharded)
  })

  test('cut, empty or gone: completed', async () => {
    const { run, blob, snapshot } = setUp()
    await run()
    truncateSync(blob(shard), 1000)
    assert.deepEqual(await weights((await run()).directory), EXPECTED.sharded)
    truncateSync(blob('config.json'), 0)
    assert.deepEqual(await weights((await run()).directory), EXPECTED.sharded)
    rmSync(blob(shard))
    assert.ok(!existsSync(join(snapshot, shard)), 'a link without its target')
    assert.deepEqual(await weights((await run()).directory), EXPECTED.sharded)
  })

  test('no refs/main: the snapshot is found, by every command alike', async () => {
    const { run, cache, folder, env, snapshot } = setUp()
    await run()
    rmSync(join(folder, 'refs'), { recursive: true })
    const found = await findSnapshot(MODEL, { cache })
    assert.equal(found!.directory, snapshot)
    assert.match(found!.note!, /the snapshot 01234567 is used; refs\/main is not in the cache/)
    const located = await locateModel(MODEL, { cache })
    assert.ok('directory' in located && located.note)
    assert.equal((await listCachedModels(cache))[0]!.state, 'complete')
    assert.equal((await run({ env: { ...env, HF_HUB_OFFLINE: '1' } })).directory, snapshot)
    assert.equal(await findSnapshot(MODEL, { cache, revision: 'v2' }), undefined, 'another branch is not guessed')
  })

  test('refs/main leads to an incomplete snapshot: the complete one is used', async () => {
    const { run, cache, folder, snapshot } = setUp()
    await run()
    const other = 'f'.repeat(40)
    mkdirSync(join(folder, 'snapshots', other))
    cpSync(join(snapshot, 'config.json'), join(folder, 'snapshots', other, 'config.json'))
    writeFileSync(join(folder, 'refs/main'), other)
    const found = await findSnapshot(MODEL, { cache })
    assert.equal(found!.directory, snapshot)
    assert.match(found!.note!, /refs\/main leads to an incomplete one/)
    rmSync(snapshot, { recursive: true })
    assert.match((await findSnapshot(MODEL, { cache }))!.problem!.message, /no safetensors file/)
  })

  /** The cache of a system without links: files in the snapshot, no blobs. */
  function withoutLinks(folder: string, snapshot: string): void {
    for (const name of readdirSync(snapshot)) {
      const bytes = readFileSync(join(snapshot, name))
      rmSync(join(snapshot, name))
      writeFileSync(join(snapshot, name), bytes)
    }
    rmSync(join(folder, 'blobs'), { recursive: true })
  }

  test('regular files and no blobs: nothing is fetched again', async () => {
    const { run, folder, snapshot } = setUp()
    await run()
    withoutLinks(folder, snapshot)
    hub.bytesSent = 0
    const { downloadedBytes, directory } = await run()
    assert.equal(downloadedBytes, 0)
    assert.equal(hub.bytesSent, 0)
    assert.deepEqual(await weights(directory), EXPECTED.sharded)
  })

  test('regular files, one of them wrong: only that one is fetched', async () => {
    const { run, folder, snapshot } = setUp()
    await run()
    withoutLinks(folder, snapshot)
    damage(join(snapshot, shard), 100)
    const { downloadedBytes, directory } = await run()
    assert.equal(downloadedBytes, hub.files.get(shard)!.byteLength)
    assert.deepEqual(await weights(directory), EXPECTED.sharded)
  })

  for (const [name, commit] of [
    ['this', COMMIT],
    ['another', 'a'.repeat(40)],
  ] as const)
    test(`a disk without links, with the files of ${name} commit: nothing is fetched again, and the snapshot is whole`, async () => {
      const { env, folder, snapshot } = setUp()
      mkdirSync(join(folder, 'snapshots', commit), { recursive: true })
      for (const [file, bytes] of hub.files) writeFileSync(join(folder, 'snapshots', commit, file), bytes)
      const script = `
        import fs from 'node:fs/promises'
        import { syncBuiltinESMExports } from 'node:module'
        fs.link = fs.symlink = async () => { throw Object.assign(new Error('not permitted'), { code: 'EPERM', syscall: 'link' }) }
        syncBuiltinESMExports()
        const { pull } = await import(${JSON.stringify(new URL('../../src/hub/hub-node.ts', import.meta.url).href)})
        const { downloadedBytes, directory } = await pull(${JSON.stringify(MODEL)})
        console.log(JSON.stringify({ downloadedBytes, directory }))`
      assert.deepEqual(JSON.parse(await output(script, env)), { downloadedBytes: 0, directory: snapshot })
      assert.deepEqual(await weights(snapshot), EXPECTED.sharded)
      assert.deepEqual(readdirSync(snapshot).sort(), [...hub.files.keys()].sort())
    })

  test('files of the same content: one download, several links', async () => {
    const more = { 'added_tokens.json': '{"a": 1}', 'special_tokens_map.json': '{"a": 1}', 'generation_config.json': '{"a": 1}' }
    serve({ ...SHARDED, ...more })
    const { run, snapshot, events, blob } = setUp()
    const once = [...hub.files.values()].reduce((sum, { byteLength }) => sum + byteLength, 0) - 2 * 8
    const { downloadedBytes, totalBytes, files } = await run()
    assert.deepEqual([downloadedBytes, totalBytes, hub.bytesSent], [once, once, once])
    assert.deepEqual([...files].sort(), [...hub.files.keys()].sort())
    const plan = events.find((event) => event.kind === 'plan')!
    assert.equal(
      plan.files.reduce((sum, { size }) => sum + size, 0),
      once,
    )
    for (const name of Object.keys(more)) {
      assert.equal(readFileSync(join(snapshot, name), 'utf8'), '{"a": 1}')
      assert.equal(blob(name), blob('added_tokens.json'))
    }
    assert.equal((await run()).downloadedBytes, 0)
    damage(blob('added_tokens.json'), 0)
    assert.equal((await run({ verify: true })).downloadedBytes, 8)
    assert.equal(readFileSync(join(snapshot, 'generation_config.json'), 'utf8'), '{"a": 1}')
  })

  test('complete downloads of other tools are taken over, wrong ones are not, and old leftovers go', async () => {
    const { run, blobs, cache } = setUp()
    mkdirSync(blobs, { recursive: true })
    const [one, two] = [shard, 'model-00002-of-00002.safetensors'].map((name) => hashes.sha256(hub.files.get(name)!))
    writeFileSync(join(blobs, `${one}.incomplete`), hub.files.get(shard)!)
    writeFileSync(join(blobs, `${two}.incomplete`), Buffer.alloc(hub.files.get('model-00002-of-00002.safetensors')!.byteLength))
    writeFileSync(join(blobs, `${'a'.repeat(64)}.incomplete`), 'x')
    writeFileSync(join(blobs, `${'b'.repeat(64)}.incomplete`), 'x')
    const [minutes, days] = [5 * 60, 2 * 86_400].map((seconds) => new Date(Date.now() - seconds * 1000))
    for (const name of [one, two, 'b'.repeat(64)]) utimesSync(join(blobs, `${name}.incomplete`), minutes!, minutes!)
    utimesSync(join(blobs, `${'a'.repeat(64)}.incomplete`), days!, days!)
    const removed = join(cache, '.removed-01234567-89ab-cdef-0123-456789abcdef')
    mkdirSync(removed)
    writeFileSync(join(removed, 'x'), 'x')
    const { directory } = await run()
    assert.ok(!hub.requests.some(({ name }) => name === shard))
    assert.deepEqual(await weights(directory), EXPECTED.sharded)
    assert.deepEqual(
      readdirSync(blobs).filter((name) => name.includes('.')),
      [`${'b'.repeat(64)}.incomplete`],
    )
    assert.ok(!existsSync(removed))
  })

  test('a cache that cannot be written is named', async () => {
    const file = join(temporary, 'file')
    writeFileSync(file, 'x')
    const { run, env } = setUp()
    await assert.rejects(run({ env: { ...env, HF_HUB_CACHE: join(file, 'hub') } }), (error: Error) => {
      assert.ok(error instanceof HubError)
      assert.match(error.message, /the cache cannot be written .*HF_HUB_CACHE/)
      return true
    })
  })
})

describe('load of the library repairs a damaged cache', () => {
  for (const [file, from] of [
    ['model-00002-of-00002.safetensors', 0],
    ['config.json', 0],
    ['config.json', 930],
    ['tokenizer.json', 100],
    [INDEX, 14_000],
  ] as const)
    test(`${file} from byte ${from}`, async () => {
      const { run, blob, env } = setUp()
      await run()
      const bytes = readFileSync(blob(file))
      bytes.fill(0x3f, from)
      writeFileSync(blob(file), bytes)
      const script = `
        import { load } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)}
        const model = await load(${JSON.stringify(MODEL)}, { backend: 'reference', context: 64 })
        console.log(model.architecture.modelType)
        await model.dispose()`
      assert.equal(await output(script, env), 'qwen3_moe\n')
      assert.ok(readFileSync(blob(file)).equals(hub.files.get(file)!))
    })
})
