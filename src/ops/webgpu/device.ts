/**
 * The device: adapter, limits, features, shader variants, and what happens when the device is lost. The only file that knows
 * `navigator.gpu`. A caller in Node.js hands in a `GPU` of the package `webgpu`.
 */
import { BackendFailedError } from '../backend.ts'
import { TEAM_WORKGROUP, type Variants } from './wgsl.ts'

export interface DeviceOptions {
  /** Where adapters come from; default: `navigator.gpu` of a page. */
  gpu?: GPU | undefined
  /** Which adapter, where the machine has several. */
  powerPreference?: GPUPowerPreference | undefined
  /** Do without features that the adapter has. For tests of the stand-ins. */
  without?: readonly 'subgroups'[] | undefined
  /** Largest storage binding, in bytes; default: what the adapter allows, at most 1 GiB. For tests of weights in several pieces. */
  largestBinding?: number | undefined
}

export interface Device {
  readonly device: GPUDevice
  readonly info: GPUAdapterInfo
  /** Whether the adapter computes on the CPU: good for tests, slow for everything else. */
  readonly software: boolean
  readonly limits: GPUSupportedLimits
  readonly variants: Variants
  /** Bytes that one binding may have. */
  readonly largestBinding: number
  /** Resolves when the device is lost, unless `release` caused that. */
  readonly failed: Promise<BackendFailedError>
  /** Destroys the device. */
  release(): void
}

/** Bindings never need more, so that the same code runs on every tier of limits. */
const LARGEST_BINDING = 1 << 30

/** Limits that are asked for where the adapter has more than the default of the standard. */
const WANTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxStorageBuffersPerShaderStage',
] as const

/** @throws Error that says why there is no device, and what can be done */
export async function openDevice(options: DeviceOptions = {}): Promise<Device> {
  const gpu = options.gpu ?? (globalThis.navigator as Navigator | undefined)?.gpu
  if (!gpu) throw new Error('WebGPU is not available here: expected a browser with WebGPU, or in Node.js the package webgpu')
  const adapter = await gpu.requestAdapter({ powerPreference: options.powerPreference })
  if (!adapter) throw new Error('WebGPU found no adapter: install a Vulkan, Metal or Direct3D driver, or use the backend wasm')
  const { subgroupMinSize: leastSubgroup, subgroupMaxSize: subgroupSize } = adapter.info
  const subgroups = adapter.features.has('subgroups') && subgroupSize <= TEAM_WORKGROUP && !options.without?.includes('subgroups')
  const requiredLimits = Object.fromEntries(WANTED_LIMITS.map((name) => [name, adapter.limits[name]]))
  const device = await adapter.requestDevice({ requiredLimits, requiredFeatures: subgroups ? ['subgroups'] : [] })
  const { info } = adapter
  const { limits } = device
  const largestBinding = Math.min(options.largestBinding ?? LARGEST_BINDING, limits.maxStorageBufferBindingSize, limits.maxBufferSize)
  let released = false
  const failed = new Promise<BackendFailedError>((resolve) => {
    void device.lost.then(({ reason, message }) => {
      if (!released) resolve(new BackendFailedError('webgpu', new Error(`the device is lost (${reason}): ${message}`)))
    })
  })
  return {
    device,
    info,
    software: info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe/i.test(`${info.architecture} ${info.description}`),
    limits,
    variants: { subgroups, subgroupSize, leastSubgroup },
    largestBinding,
    failed,
    release() {
      released = true
      device.destroy()
    },
  }
}
