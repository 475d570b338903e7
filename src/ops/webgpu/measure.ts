/**
 * What a device can do, measured by two kernels that need no model: bytes per second of a copy, and the time that one more dispatch
 * takes where each needs the result of the one before. The two numbers of the roofline of decoding.
 */
import { USAGE } from './buffers.ts'

const COPY = `@group(0) @binding(0) var<storage, read> source: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> destination: array<vec4u>;
@compute @workgroup_size(256) fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let count = arrayLength(&destination);
  for (var i = wg.x * 256u + lane; i < count; i += groups.x * 256u) { destination[i] = source[i]; }
}`

const STEP = `@group(0) @binding(0) var<storage, read> source: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> destination: array<vec4u>;
@compute @workgroup_size(64) fn main(@builtin(local_invocation_index) lane: u32) { destination[lane].x = destination[(lane + 1u) % 64u].x + source[0].x; }`

interface Chain {
  /** Seconds that so many dispatches take, from submission to the end. */
  seconds(dispatches: number): Promise<number>
  dispose(): void
}

async function chainOf(device: GPUDevice, code: string, bytes: number, groups: number): Promise<Chain> {
  const module = device.createShaderModule({ code })
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } })
  const buffers = [0, 1].map(() => device.createBuffer({ label: 'measuring', size: bytes, usage: USAGE.storage }))
  const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }))
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries })
  return {
    async seconds(dispatches) {
      await device.queue.onSubmittedWorkDone()
      const began = performance.now()
      const encoder = device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      pass.setPipeline(pipeline)
      pass.setBindGroup(0, group)
      for (let n = 0; n < dispatches; n++) pass.dispatchWorkgroups(groups)
      pass.end()
      device.queue.submit([encoder.finish()])
      await device.queue.onSubmittedWorkDone()
      return (performance.now() - began) / 1000
    },
    dispose() {
      for (const buffer of buffers) buffer.destroy()
    },
  }
}

/** The least of a few runs of `dispatches`, as long as the time lasts. */
async function least(chain: Chain, dispatches: number, budgetSeconds: number): Promise<number> {
  let [best, spent] = [Number.POSITIVE_INFINITY, 0]
  for (let run = 0; run < 10 && (run < 2 || spent < budgetSeconds); run++) {
    const seconds = await chain.seconds(dispatches)
    spent += seconds
    best = Math.min(best, seconds)
  }
  return best
}

/**
 * Bytes read and written per second by a copy. The start of a submission is taken off, by the difference of a long run and a short one.
 * @param bytes of each of the two buffers; more than the caches of the device hold
 */
export async function copyBandwidth(device: GPUDevice, bytes = 256 << 20, budgetSeconds = 1): Promise<number> {
  const size = Math.min(bytes, device.limits.maxStorageBufferBindingSize)
  const chain = await chainOf(device, COPY, size, 4096)
  try {
    const once = await least(chain, 1, budgetSeconds / 4)
    const copies = Math.max(2, Math.min(64, Math.round(budgetSeconds / 4 / once)))
    const many = await least(chain, copies, budgetSeconds / 2)
    return (2 * size * (copies - 1)) / Math.max(many - once, 1e-9)
  } finally {
    chain.dispose()
  }
}

/** Seconds that one more dependent dispatch takes, and that a submission takes without any. */
export async function dispatchCost(
  device: GPUDevice,
  counts = [50, 800],
  budgetSeconds = 1,
): Promise<{ dispatch: number; submission: number }> {
  const chain = await chainOf(device, STEP, 1024, 1)
  try {
    const [few, many] = [counts[0]!, counts.at(-1)!]
    const short = await least(chain, few, budgetSeconds / 2)
    const long = await least(chain, many, budgetSeconds / 2)
    const dispatch = Math.max(0, (long - short) / (many - few))
    return { dispatch, submission: Math.max(0, short - few * dispatch) }
  } finally {
    chain.dispose()
  }
}
