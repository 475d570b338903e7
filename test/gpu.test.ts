/**
 * A device is checked before a model runs on it: kernels that are made wrong are found, subgroups are dropped where they are the cause, and a
 * device that is wrong without them too is refused by an error that names the kernels. On an adapter that computes on the CPU.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openModel } from '../src/checkpoint/load.ts'
import { fileFolder } from '../src/checkpoint/source-node.ts'
import { gpuReport } from '../src/cli/gpu.ts'
import { choiceOf, createCheckedBackend, examine } from '../src/gpu.ts'
import { leaves } from '../src/model/weights.ts'
import type { WeightSpec } from '../src/ops/backend.ts'
import { type Formats, formatsOf } from '../src/ops/webgpu/self-check.ts'
import { WrongResultsError } from '../src/ops/webgpu/wrong-results.ts'
import { noAdapter, testGpu } from './ops/webgpu/adapters.ts'

const NONE: Formats = { matrices: [], experts: [] }

/** The adapter for tests, with each shader's text changed before it is compiled. Counts the devices that were opened. */
async function changed(change: (code: string) => string): Promise<{ gpu: GPU; opened: () => number }> {
  const gpu = await testGpu()
  let devices = 0
  const requestAdapter = async (options?: GPURequestAdapterOptions) => {
    const adapter = (await gpu.requestAdapter(options))!
    const request = adapter.requestDevice.bind(adapter)
    adapter.requestDevice = async (descriptor) => {
      devices++
      const device = await request(descriptor)
      const create = device.createShaderModule.bind(device)
      device.createShaderModule = (shader) => create({ ...shader, code: change(shader.code) })
      return device
    }
    return adapter
  }
  return { gpu: { requestAdapter, wgslLanguageFeatures: gpu.wgslLanguageFeatures } as unknown as GPU, opened: () => devices }
}

const zeros = (spec: Partial<WeightSpec>) =>
  [{ name: 'w', shape: [32, 256], use: 'matrix', dtype: 'f32', ...spec } as WeightSpec, async () => {}] as const

describe('a GPU that is checked', { skip: noAdapter }, () => {
  const WITH_SUBGROUPS: [name: string, change: (code: string) => string, reason: RegExp][] = [
    ['sums of subgroups are wrong', (code) => code.replaceAll('subgroupAdd(x)', '(1.001 * subgroupAdd(x))'), /norms: differs by/],
    ['shaders with subgroups do not compile', (code) => code.replaceAll('subgroupAdd(x)', 'subgroupAdds(x)'), /the device reports/],
  ]
  for (const [name, change, reason] of WITH_SUBGROUPS)
    test(`subgroups are dropped: ${name}`, async () => {
      const { gpu, opened } = await changed(change)
      const backend = await createCheckedBackend({ gpu, check: true, formats: async () => NONE })
      assert.equal(opened(), 2)
      assert.equal(backend.device.variants.subgroups, false)
      assert.match(backend.dropped!, reason)
      assert.match(choiceOf(backend), /^backend webgpu: .*, without subgroups \(/)
      const report = await gpuReport({ backend, checks: [], formats: NONE })
      assert.deepEqual([report.used, report.dropped], [[], backend.dropped])
      await backend.dispose()
    })

  test('a device that is right keeps its variants and is opened once', async () => {
    const { gpu, opened } = await changed((code) => code)
    const backend = await createCheckedBackend({ gpu, check: true, formats: async () => NONE })
    assert.deepEqual([opened(), backend.dropped], [1, undefined])
    assert.match(choiceOf(backend), /^backend webgpu: [^,]*$/)
    await backend.dispose()
  })

  test('wrong with subgroups and without is refused by the names of the kernels', async () => {
    const { gpu, opened } = await changed((code) =>
      code.replace('1.0 / (1.0 + exp(', '1.0 / (1.01 + exp(').replaceAll('vec4<u32>(0xffff0000u)', 'vec4<u32>(0xfffe0000u)'),
    )
    const formats = async (): Promise<Formats> => ({ matrices: ['bf16'], experts: [] })
    await assert.rejects(createCheckedBackend({ gpu, check: true, formats }), (error: Error) => {
      assert.ok(error instanceof WrongResultsError)
      const names = error.wrong.map(({ name }) => name)
      for (const one of ['product of 1 rows, bf16', 'rows of a table, bf16', 'SwiGLU', 'feed-forward of a row', 'state space'])
        assert.ok(names.includes(one), `${one} is not among ${names}`)
      for (const one of ['norms', 'attention', 'soft cap', 'draw']) assert.ok(!names.includes(one), `${one} is among ${names}`)
      assert.match(
        error.message,
        /computes wrongly, with subgroups and without \(product of 1 rows, bf16: differs by .*; \d+ more\); update its driver, or /,
      )
      return true
    })
    assert.equal(opened(), 2)
  })

  test('formats: one that was not named is checked when its first weight comes, and refused where it is wrong', async () => {
    // bf16 reads its upper half wrongly; everything else is right.
    const { gpu } = await changed((code) => code.replaceAll('vec4<u32>(0xffff0000u)', 'vec4<u32>(0xfffe0000u)'))
    const backend = await createCheckedBackend({ gpu, check: true, formats: async () => NONE })
    const [f16, bf16, experts] = [
      zeros({ dtype: 'f16' }),
      zeros({ dtype: 'bf16' }),
      zeros({ dtype: 'bf16', use: 'experts', shape: [2, 32, 256] }),
    ]
    await backend.weight(...f16)
    await backend.weight(...zeros({ dtype: 'bf16', use: 'vector', shape: [256] }))
    const both = await Promise.allSettled([backend.weight(...bf16), backend.weight(...bf16)])
    for (const outcome of both) {
      assert.ok(outcome.status === 'rejected' && outcome.reason instanceof WrongResultsError)
      assert.match(outcome.reason.message, /\(product of 1 rows, bf16: differs by .*; rows of a table, bf16: differs by/)
    }
    await assert.rejects(backend.weight(...experts), /experts of 1 rows, bf16: differs by/)
    await backend.dispose()
  })

  test('an adapter that computes on the CPU is not checked unless that is asked for, and refused where it is not wanted', async () => {
    const { gpu } = await changed((code) => code.replaceAll('subgroupAdd(x)', '0.0'))
    const { backend, checks } = await examine({ gpu })
    assert.deepEqual([checks, backend.dropped], [[], undefined])
    await backend.dispose()
    await assert.rejects(createCheckedBackend({ gpu, software: false, check: true }), /computes on the CPU; use the backend wasm/)
  })
})

test('the formats of a checkpoint are those of its matrices, tables and experts', async () => {
  const fixtures = fileURLToPath(new URL('fixtures/checkpoints/', import.meta.url))
  const found = async (name: string) => {
    const { checkpoint, tree } = await openModel(await fileFolder(fixtures + name))
    await checkpoint.close()
    return formatsOf(leaves(tree))
  }
  assert.deepEqual(await found('tiny-gpt-oss'), { matrices: ['f32', 'bf16'], experts: ['mxfp4'] })
  assert.deepEqual(await found('tiny-gpt2'), { matrices: ['f32'], experts: [] })
})
