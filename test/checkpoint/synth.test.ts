import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { configFromJson } from '../../src/architecture/config-json.ts'
import { preset } from '../../src/architecture/presets.ts'
import { planSynth, synthesize } from '../../src/checkpoint/synth.ts'
import { synthesizeCheckpoint } from '../../src/checkpoint/synth-node.ts'
import { forward } from '../../src/model/transformer.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { loadCheckpoint } from './load-directory.ts'

const fixtures = join(import.meta.dirname, '../fixtures/checkpoints')
const temporary = mkdtempSync(join(tmpdir(), 'lineage-synth-'))
after(() => rmSync(temporary, { recursive: true, force: true }))

const architectureOf = (name: string, changed: Record<string, unknown> = {}) =>
  configFromJson({ ...JSON.parse(readFileSync(join(fixtures, name, 'config.json'), 'utf8')), ...changed }, name)
const out = (name: string) => mkdtempSync(join(temporary, `${name}-`))
const contents = (directory: string) => new Map(readdirSync(directory).map((file) => [file, readFileSync(join(directory, file))]))

describe('planned sizes are the published ones', () => {
  for (const [name, bytes] of [
    ['gpt-oss-20b', 13_761_264_768],
    ['gpt-oss-120b', 65_248_815_744],
    ['gpt2', 497_759_232],
    ['Qwen3-4B', 8_044_936_192],
  ] as const) {
    test(name, () => {
      const plan = planSynth(preset(name)!, 1)
      assert.equal(plan.tensorBytes, bytes)
      assert.ok(plan.files.every((file) => file.size <= 5.01e9))
      assert.equal(plan.index !== undefined, plan.files.length > 1)
    })
  }
  test('gpt-oss-20b has the 459 published tensors, Qwen3-30B-A3B its 18,867', () => {
    const count = (name: string) => planSynth(preset(name)!, 1).files.reduce((sum, file) => sum + file.stretches.length, 0)
    assert.equal(count('gpt-oss-20b'), 459)
    assert.equal(count('Qwen3-30B-A3B'), 18_867)
  })
})

describe('every layout', () => {
  for (const name of readdirSync(fixtures)) {
    test(`${name}: loads, and a forward pass is finite`, async () => {
      const architecture = architectureOf(name)
      const directory = out(name)
      await synthesizeCheckpoint(architecture, directory, { threads: 1 })
      const backend = createReferenceBackend()
      const loaded = await loadCheckpoint(directory, backend)
      assert.deepEqual(loaded.architecture, architecture)
      const batch = { ids: Int32Array.of(1, 2, 3), slots: Int32Array.of(0, 0, 0), positions: Int32Array.of(0, 1, 2) }
      const logits = await backend.read(forward(backend, loaded.architecture, loaded.weights, batch))
      assert.ok(logits.every(Number.isFinite))
      assert.ok(new Set(logits).size > 100)
      await backend.dispose()
    })
  }
})

describe('the random numbers', () => {
  test('are normal, of both signs, and of the size of trained weights', () => {
    for (const name of ['tiny-gpt2', 'tiny-qwen3']) {
      const plan = planSynth(architectureOf(name), 3)
      const file = plan.files[0]!
      const bytes = new Uint8Array(file.size)
      synthesize(file, 0, bytes)
      const embed = file.stretches[0]!
      const raw = bytes.slice(embed.begin, embed.end).buffer
      const values =
        name === 'tiny-gpt2' ? new Float32Array(raw) : new Float32Array(Uint32Array.from(new Uint16Array(raw), (bits) => bits << 16).buffer)
      let sum = 0
      let squares = 0
      for (const value of values) {
        assert.ok(Math.abs(value) >= 2 ** -9 && Math.abs(value) < 2 ** -5)
        sum += value
        squares += value * value
      }
      assert.ok(Math.abs(sum / values.length) < 5e-4)
      assert.ok(Math.abs(Math.sqrt(squares / values.length) - 0.0137) < 5e-4)
    }
  })

  test('do not depend on how the file is divided', () => {
    const file = planSynth(architectureOf('tiny-gpt-oss'), 3).files[0]!
    const whole = new Uint8Array(file.size)
    synthesize(file, 0, whole)
    const parts = new Uint8Array(file.size)
    for (let at = 0; at < file.size; at += 1023) synthesize(file, at, parts.subarray(at, Math.min(file.size, at + 1023)))
    assert.ok(Buffer.from(whole).equals(parts))
  })

  test('differ between seeds and between tensors', () => {
    const file = (seed: number) => planSynth(architectureOf('tiny-qwen3'), seed).files[0]!
    const bytes = (seed: number, stretch: number) => {
      const into = new Uint8Array(64)
      synthesize(file(seed), file(seed).stretches[stretch]!.begin, into)
      return Buffer.from(into).toString('hex')
    }
    const q = file(1).stretches.findIndex(({ end, begin }) => end - begin === 128 * 64 * 2)
    assert.notEqual(bytes(1, 0), bytes(2, 0))
    assert.notEqual(bytes(1, q), bytes(1, 0))
  })
})

describe('writing', () => {
  test('shards, threads and interruptions do not change a byte', async () => {
    // Large enough that the threads are still writing when this thread comes to stop them.
    const layers = 60
    const architecture = architectureOf('tiny-qwen3-moe', { num_hidden_layers: layers })
    const options = { shardBytes: 4_000_000, pieceBytes: 4096 }
    const straight = out('straight')
    const { files } = await synthesizeCheckpoint(architecture, straight, { ...options, threads: 1 })
    assert.deepEqual([...files].sort(), readdirSync(straight).sort())
    assert.ok(files.length >= 5)
    const broken = out('broken')
    let runs = 0
    for (; ; runs++) {
      const stop = new AbortController()
      let begin: number | undefined
      try {
        const onProgress = (bytes: number) => {
          begin ??= bytes
          if (bytes - begin > 2_000_000) stop.abort(new Error('interrupted'))
        }
        await synthesizeCheckpoint(architecture, broken, { ...options, threads: 2, signal: stop.signal, onProgress })
        break
      } catch (error) {
        assert.match(String(error), /interrupted/)
        assert.ok(!existsSync(join(broken, 'config.json')))
        assert.ok(runs < 20)
      }
    }
    assert.ok(runs >= 2, `${runs} interruptions`)
    assert.deepEqual(contents(broken), contents(straight))
    const again = await synthesizeCheckpoint(architecture, broken, options)
    assert.equal(again.writtenBytes, 0)
    const loaded = await loadCheckpoint(broken, createReferenceBackend())
    assert.equal(loaded.architecture.layers.length, layers)
  })

  test('another seed does not continue a part of the first', async () => {
    const architecture = architectureOf('tiny-qwen3')
    const stop = new AbortController()
    const directory = out('seeds')
    const first = synthesizeCheckpoint(architecture, directory, {
      seed: 1,
      pieceBytes: 4096,
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('stop')),
    })
    await assert.rejects(first, /stop/)
    await synthesizeCheckpoint(architecture, directory, { seed: 2, pieceBytes: 4096 })
    const straight = out('second')
    await synthesizeCheckpoint(architecture, straight, { seed: 2 })
    assert.deepEqual(contents(directory), contents(straight))
  })

  test('killing the process and running it again ends with the same files', async () => {
    const url = (path: string) => JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../src', path)).href)
    const script = `
      import { preset } from ${url('architecture/presets.ts')}
      import { synthesizeCheckpoint } from ${url('checkpoint/synth-node.ts')}
      const gpt2 = preset('gpt2')
      const small = { ...gpt2, layers: gpt2.layers.slice(0, 1), vocabSize: 4000 }
      await synthesizeCheckpoint(small, process.argv[1], { pieceBytes: 65536, threads: 2 })`
    const run = (directory: string, killAfterMs?: number) =>
      new Promise<number | null>((resolve) => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', script, directory], { stdio: 'inherit' })
        const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs)
        child.on('exit', (code) => {
          clearTimeout(timer)
          resolve(code)
        })
      })
    const straight = out('straight')
    assert.equal(await run(straight), 0)
    const killed = out('killed')
    for (const milliseconds of [150, 200, 250]) await run(killed, milliseconds)
    assert.equal(await run(killed), 0)
    assert.ok(statSync(join(straight, 'model.safetensors')).size > 40e6)
    assert.deepEqual(contents(killed), contents(straight))
  })
})
