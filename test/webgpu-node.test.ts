/**
 * The GPU in Node.js, on an adapter that computes on the CPU: backends by name, what is said where there is no GPU, and a device that is
 * lost in the middle of eight answers: all are told, the model is loaded again, the server answers as before.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gpuReport } from '../src/cli/gpu.ts'
import { servedEntries } from '../src/cli/support/served-entry.ts'
import { examine } from '../src/gpu.ts'
import { createGpuBackend, mustHaveFree } from '../src/gpu-node.ts'
import { BackendFailedError, load } from '../src/index.ts'
import { createBackend } from '../src/load-model-node.ts'
import { MemoryError } from '../src/ops/backend.ts'
import type { WebgpuBackend } from '../src/ops/webgpu/webgpu.ts'
import { createApp } from '../src/server/http/app.ts'
import { listen } from '../src/server/node.ts'
import { lineage } from './cli/run.ts'
import { noAdapter, nullGpu } from './ops/webgpu/adapters.ts'

const tiny = fileURLToPath(new URL('fixtures/gguf/tiny-qwen2.gguf', import.meta.url))
const onlySoftware = noAdapter || (process.env.VK_ICD_FILENAMES?.includes('swiftshader') ? false : 'this machine may have a GPU of its own')

describe('backends by name', () => {
  test('a name that does not exist is refused', async () => {
    await assert.rejects(createBackend({ backend: 'cuda' as 'wasm' }), /backend: expected wasm or webgpu or .* got "cuda"/)
    const { code, err } = lineage(['chat', '--backend', 'cuda', 'hello'])
    assert.equal(code, 2)
    assert.match(err, /--backend <name>' argument 'cuda' is invalid. Allowed choices are wasm, webgpu, webgpu:software, auto, reference/)
  })

  test('an adapter that computes on the CPU is taken by name only', { skip: onlySoftware }, async () => {
    await assert.rejects(createBackend({ backend: 'webgpu' }), /computes on the CPU; use the backend wasm, or webgpu:software/)
    const choices: string[] = []
    const chosen = await createBackend({ backend: 'auto', threads: 1, onBackend: (choice) => choices.push(choice) })
    assert.equal(chosen.name, 'wasm')
    await chosen.dispose()
    assert.equal(choices.length, 1)
    assert.match(choices[0]!, /^backend wasm: the only WebGPU adapter here is .* computes on the CPU/)
    const { code, err } = lineage(['gpu'])
    assert.equal(code, 1)
    assert.match(err, /computes on the CPU/)
  })

  test('`lineage gpu` says only of features of the device that the kernels use them', async () => {
    // The null backend computes nothing, so the results are wrong, but the report is made quickly.
    const examined = await examine({ gpu: await nullGpu(), check: true })
    const { features, used, dropped, wrong } = await gpuReport(examined)
    assert.deepEqual(
      used.filter((name) => !features.includes(name)),
      [],
    )
    assert.ok(wrong.length > 0)
    assert.equal(dropped !== null, examined.backend.dropped !== undefined)
    await examined.backend.dispose()
  })

  test('memory that is not free is a MemoryError', { skip: noAdapter }, async () => {
    const backend = await createGpuBackend({ software: true })
    await mustHaveFree(backend, 3 << 20)
    // Every buffer of the device fails from here on, as when its memory is full.
    const { device } = backend.device
    const create = device.createBuffer.bind(device)
    device.createBuffer = (descriptor) => create({ ...descriptor, size: descriptor.size + 2 ** 33 })
    await assert.rejects(
      mustHaveFree(backend, 3 << 20),
      (error: Error) => error instanceof MemoryError && /memory for the model/.test(error.message),
    )
    await backend.dispose()
  })
})

describe('a device that is lost', { skip: noAdapter }, () => {
  const options = { backend: 'webgpu:software', context: 128 } as const

  test('library: running and later answers end with the error, and a new model answers as before', async () => {
    const model = await load(tiny, { ...options, slots: 2 })
    const greedy = { maxTokens: 6, sampling: { temperature: 0 } }
    const before = (await model.generate('the', greedy).result).ids
    const running = [0, 1].map(() => model.engine.generate([1, 2, 3], { stopIds: [] }).result)
    ;(model.backend as WebgpuBackend).device.device.destroy()
    for (const result of running) await assert.rejects(result, BackendFailedError)
    assert.match((await model.failed).message, /the webgpu backend has failed: the device is lost .*; load the model again/)
    await assert.rejects(model.backend.settled(), BackendFailedError)
    await model.dispose()
    await using again = await load(tiny, { ...options, slots: 2 })
    assert.deepEqual((await again.generate('the', greedy).result).ids, before)
  })

  test('server over HTTP: eight answers are told, streamed or not, and the next request loads the model again', async () => {
    const entry = (await servedEntries(tiny, { ...options, parallel: 8 }))[0]!
    const backends: WebgpuBackend[] = []
    const app = createApp({
      models: [
        {
          ...entry,
          async load() {
            const model = await entry.load()
            backends.push((model as unknown as { backend: WebgpuBackend }).backend)
            return model
          },
        },
      ],
      log: () => {},
    })
    const server = await listen(app, { port: 0 })
    const ask = (body: object) =>
      fetch(`${server.url}/v1/completions`, {
        method: 'POST',
        body: JSON.stringify({ model: entry.id, prompt: 'the', temperature: 0, max_tokens: 6, ...body }),
        headers: { 'content-type': 'application/json' },
      })
    const text = async (response: Response) => (await response.json()).choices[0].text
    const first = await text(await ask({}))
    const long = { max_tokens: 100, ignore_eos: true }
    const whole = [0, 1].map(() => ask(long))
    const streams = await Promise.all(Array.from({ length: 6 }, () => ask({ ...long, stream: true })))
    const readers = streams.map((response) => response.body!.pipeThrough(new TextDecoderStream()).getReader())
    const began = await Promise.all(readers.map((reader) => reader.read()))
    backends[0]!.device.device.destroy()
    const received = await Promise.all(
      readers.map(async (reader, n) => {
        let all = began[n]!.value ?? ''
        for (let part = await reader.read(); !part.done; part = await reader.read()) all += part.value
        return all
      }),
    )
    for (const all of received) {
      assert.match(all, /"code":"model_failed"/)
      assert.doesNotMatch(all, /\[DONE\]/)
    }
    for (const response of await Promise.all(whole)) {
      assert.equal(response.status, 503)
      assert.equal((await response.json()).error.code, 'model_failed')
    }
    assert.equal(await text(await ask({})), first)
    assert.equal(backends.length, 2)
    await server.close(0)
  })
})
