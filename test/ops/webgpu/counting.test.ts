/** The tools of the tests themselves: what is counted on the null backend, on a fake device and on the adapter that computes. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { noAdapter, nullGpu, testGpu } from './adapters.ts'
import { count, fakeGpu, GIB } from './counting.ts'

const DOUBLE = `
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) { x[id.x] *= 2; }`
const [STORAGE, COPY_SRC, COPY_DST, MAP_READ] = [0x80, 4, 8, 1]

/** One dispatch with a write before and a readback after. */
async function doubled(gpu: GPU): Promise<Float32Array> {
  const adapter = await gpu.requestAdapter()
  const device = await adapter!.requestDevice()
  const buffer = device.createBuffer({ label: 'x', size: 64, usage: STORAGE | COPY_SRC | COPY_DST })
  const read = device.createBuffer({ label: 'read', size: 64, usage: MAP_READ | COPY_DST })
  device.queue.writeBuffer(buffer, 0, new Float32Array(16).fill(3), 0, 12)
  const module = device.createShaderModule({ code: DOUBLE })
  const pipeline = await device.createComputePipelineAsync({ label: 'double', layout: 'auto', compute: { module } })
  const layout = pipeline.getBindGroupLayout(0)
  const group = device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer, size: 64 } }] })
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline)
  pass.setBindGroup(0, group)
  pass.dispatchWorkgroups(4)
  pass.end()
  encoder.copyBufferToBuffer(buffer, 0, read, 0, 64)
  device.queue.submit([encoder.finish()])
  await read.mapAsync(1)
  const values = new Float32Array(read.getMappedRange().slice(0))
  for (const one of [buffer, read]) one.destroy()
  device.destroy()
  await device.lost
  return values
}

const gpus: [string, () => Promise<GPU>, string | false][] = [
  ['a fake device', async () => fakeGpu(), false],
  ['the null backend', nullGpu, false],
  ['the adapter that computes', testGpu, noAdapter],
]
for (const [name, make, skip] of gpus)
  test(`${name}: objects, bytes and dispatches are counted`, { skip }, async () => {
    const { gpu, counts } = count(await make())
    const values = await doubled(gpu)
    assert.equal(values.length, 16)
    if (make === testGpu) assert.deepEqual([...values], [...Array(12).fill(6), 0, 0, 0, 0])
    const { created, dispatches } = counts
    const made = { createBuffer: 2, createShaderModule: 1, createComputePipelineAsync: 1, createBindGroup: 1, createCommandEncoder: 1 }
    assert.deepEqual(created, made)
    assert.deepEqual(
      dispatches.map(({ label, workgroups, bindings }) => [label, workgroups, bindings.map((each) => [each.label, each.size])]),
      [['double', 4, [['x', 64]]]],
    )
    const { submissions, writes, writtenBytes, copiedBytes, readbacks, readBytes, bufferBytes, largestBuffer, largestBinding } = counts
    assert.deepEqual(
      { submissions, writes, writtenBytes, copiedBytes, readbacks, readBytes, bufferBytes, largestBuffer, largestBinding },
      {
        submissions: 1,
        writes: 1,
        writtenBytes: 48,
        copiedBytes: 64,
        readbacks: 1,
        readBytes: 64,
        bufferBytes: 0,
        largestBuffer: 64,
        largestBinding: 64,
      },
    )
    assert.equal(counts.shaders[0], DOUBLE)
    counts.reset()
    assert.deepEqual([counts.created, counts.dispatches.length, counts.writes, counts.largestBuffer], [{}, 0, 0, 64])
  })

describe('a fake device', () => {
  test('holds 14 GB without memory and refuses more than 1 GiB at once', async () => {
    const { gpu, counts } = count(fakeGpu())
    const device = await (await gpu.requestAdapter())!.requestDevice()
    const buffers = Array.from({ length: 14 }, () => device.createBuffer({ size: GIB, usage: STORAGE }))
    assert.equal(counts.bufferBytes, 14 * GIB)
    for (const buffer of buffers) buffer.destroy()
    buffers[0]!.destroy()
    assert.equal(counts.bufferBytes, 0)
    assert.throws(
      () => device.createBuffer({ label: 'large', size: GIB + 4, usage: STORAGE }),
      /buffer large: 1073741828 bytes, more than 1 GiB/,
    )
  })
})
