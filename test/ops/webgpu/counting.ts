/**
 * Counts what a backend asks of WebGPU. `count(gpu)` watches the devices of any GPU: a real one, the null backend, or `fakeGpu()`, which
 * computes nothing and keeps no memory, so that a model of full size fits. Buffers and bindings above 1 GiB are refused: the
 * smallest limit of adapters that can hold such a model.
 */

export const GIB = 2 ** 30

export interface Binding {
  readonly label: string
  /** Bytes bound. */
  readonly size: number
  readonly usage: number
  readonly buffer: GPUBuffer
  readonly offset: number
}

export interface Dispatch {
  /** Label of the pipeline. */
  readonly label: string
  readonly pipeline: GPUComputePipeline
  /** Number of workgroups, x · y · z. */
  readonly workgroups: number
  /** Those along z: runs of rows. */
  readonly depth: number
  readonly bindings: readonly Binding[]
}

export interface Counts {
  /** Calls of `create…` of devices, by name. */
  created: Record<string, number>
  dispatches: Dispatch[]
  submissions: number
  /** `queue.writeBuffer`, and its bytes. */
  writes: number
  writtenBytes: number
  copiedBytes: number
  /** `buffer.mapAsync`, and its bytes. */
  readbacks: number
  readBytes: number
  /** Bytes of the buffers that are not destroyed. */
  bufferBytes: number
  largestBuffer: number
  largestBinding: number
  /** WGSL of the shader modules. */
  shaders: string[]
  /** Starts to count anew; sizes of buffers stay. */
  reset(): void
}

/** The same GPU with its devices watched from now on. */
export function count(gpu: GPU): { gpu: GPU; counts: Counts } {
  const counts: Counts = {
    ...zero(),
    bufferBytes: 0,
    largestBuffer: 0,
    largestBinding: 0,
    shaders: [],
    reset: () => Object.assign(counts, zero()),
  }
  const watched = {
    wgslLanguageFeatures: gpu.wgslLanguageFeatures,
    async requestAdapter(options?: GPURequestAdapterOptions) {
      const adapter = await gpu.requestAdapter(options)
      if (adapter) {
        const request = adapter.requestDevice.bind(adapter)
        adapter.requestDevice = async (descriptor) => watchDevice(await request(descriptor), counts)
      }
      return adapter
    },
  }
  return { gpu: watched as GPU, counts }
}

const zero = () => ({
  created: {},
  dispatches: [],
  submissions: 0,
  writes: 0,
  writtenBytes: 0,
  copiedBytes: 0,
  readbacks: 0,
  readBytes: 0,
})

type Method = (...args: never[]) => unknown
/** Replaces a method of one object: `wrap` gets the old one. */
function replace<T extends object, K extends keyof T>(target: T, key: K, wrap: (before: T[K] & Method) => T[K]): void {
  target[key] = wrap((target[key] as Method).bind(target) as T[K] & Method)
}

function watchDevice(device: GPUDevice, counts: Counts): GPUDevice {
  const groups = new WeakMap<GPUBindGroup, Binding[]>()
  const labels = new WeakMap<GPUComputePipeline, string>()
  for (const key of Object.keys(creators(device)) as (keyof GPUDevice)[])
    replace(device, key as 'createBuffer', (create) => (descriptor) => {
      counts.created[key] = (counts.created[key] ?? 0) + 1
      return create(descriptor)
    })
  replace(device, 'createBuffer', (create) => (descriptor) => {
    const { size, label } = descriptor
    if (size > GIB) throw new Error(`buffer ${label ?? ''}: ${size} bytes, more than 1 GiB`)
    counts.largestBuffer = Math.max(counts.largestBuffer, size)
    counts.bufferBytes += size
    return watchBuffer(create(descriptor), counts)
  })
  replace(device, 'createBindGroup', (create) => (descriptor) => {
    const group = create(descriptor)
    groups.set(
      group,
      [...descriptor.entries].map((entry) => bindingOf(entry, counts)),
    )
    return group
  })
  replace(device, 'createShaderModule', (create) => (descriptor) => {
    counts.shaders.push(descriptor.code)
    return create(descriptor)
  })
  replace(device, 'createComputePipeline', (create) => (descriptor) => {
    const pipeline = create(descriptor)
    labels.set(pipeline, descriptor.label ?? '')
    return pipeline
  })
  replace(device, 'createComputePipelineAsync', (create) => async (descriptor) => {
    const pipeline = await create(descriptor)
    labels.set(pipeline, descriptor.label ?? '')
    return pipeline
  })
  replace(device, 'createCommandEncoder', (create) => (descriptor) => {
    const encoder = create(descriptor)
    replace(encoder, 'beginComputePass', (begin) => (pass) => watchPass(begin(pass), counts, groups, labels))
    replace(encoder, 'copyBufferToBuffer', (copy) => (...args: unknown[]) => {
      counts.copiedBytes += Number(args.at(-1))
      return (copy as Method)(...(args as never[])) as undefined
    })
    return encoder
  })
  const queue = device.queue
  replace(queue, 'submit', (submit) => (buffers) => {
    counts.submissions++
    return submit(buffers)
  })
  replace(queue, 'writeBuffer', (write) => (buffer, at, data, ...range) => {
    counts.writes++
    const unit = ArrayBuffer.isView(data) && 'BYTES_PER_ELEMENT' in data ? (data.BYTES_PER_ELEMENT as number) : 1
    counts.writtenBytes += range[1] === undefined ? data.byteLength - (range[0] ?? 0) * unit : range[1] * unit
    return (write as Method)(...([buffer, at, data, ...range] as never[])) as undefined
  })
  return device
}

/** The methods of a device that make objects. */
function creators(device: GPUDevice): Record<string, Method> {
  const found: Record<string, Method> = {}
  for (let at: object | null = device; at && at !== Object.prototype; at = Object.getPrototypeOf(at))
    for (const key of Object.getOwnPropertyNames(at)) if (key.startsWith('create')) found[key] = device[key as 'createBuffer'] as Method
  return found
}

function watchBuffer(buffer: GPUBuffer, counts: Counts): GPUBuffer {
  let alive = true
  replace(buffer, 'destroy', (destroy) => () => {
    if (alive) counts.bufferBytes -= buffer.size
    alive = false
    return destroy()
  })
  replace(buffer, 'mapAsync', (map) => (mode, offset, size) => {
    counts.readbacks++
    counts.readBytes += size ?? buffer.size - (offset ?? 0)
    return map(mode, offset, size)
  })
  return buffer
}

function bindingOf({ resource }: GPUBindGroupEntry, counts: Counts): Binding {
  const { buffer, offset = 0, size } = 'buffer' in resource ? resource : { buffer: resource as GPUBuffer }
  const binding = { label: buffer.label, size: size ?? buffer.size - offset, usage: buffer.usage, buffer, offset }
  if (binding.size > GIB) throw new Error(`binding of ${binding.label}: ${binding.size} bytes, more than 1 GiB`)
  counts.largestBinding = Math.max(counts.largestBinding, binding.size)
  return binding
}

function watchPass(
  pass: GPUComputePassEncoder,
  counts: Counts,
  groups: WeakMap<GPUBindGroup, Binding[]>,
  labels: WeakMap<GPUComputePipeline, string>,
): GPUComputePassEncoder {
  const bound: Binding[][] = []
  let pipeline: GPUComputePipeline | undefined
  replace(pass, 'setPipeline', (set) => (to) => {
    pipeline = to
    return set(to)
  })
  replace(pass, 'setBindGroup', (set) => (...args: unknown[]) => {
    const [index, group] = args as [number, GPUBindGroup]
    bound[index] = groups.get(group) ?? []
    return (set as Method)(...(args as never[])) as undefined
  })
  replace(pass, 'dispatchWorkgroups', (dispatch) => (x, y = 1, z = 1) => {
    if (!pipeline) throw new Error('dispatch without a pipeline')
    counts.dispatches.push({ label: labels.get(pipeline) ?? '', pipeline, workgroups: x * y * z, depth: z, bindings: bound.flat() })
    return dispatch(x, y, z)
  })
  return pass
}

export interface FakeOptions {
  features?: readonly string[]
  limits?: Partial<Record<keyof GPUSupportedLimits, number>>
}

const FAKE_LIMITS = {
  maxBufferSize: GIB,
  maxStorageBufferBindingSize: GIB,
  maxUniformBufferBindingSize: 65536,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeY: 256,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65535,
  maxBindGroups: 4,
  maxBindingsPerBindGroup: 1000,
  minStorageBufferOffsetAlignment: 256,
  minUniformBufferOffsetAlignment: 256,
}

/** A GPU that accepts every call, computes nothing and keeps only what is mapped. All values read are zeros. */
export function fakeGpu({ features = ['subgroups'], limits = {} }: FakeOptions = {}): GPU {
  const adapterOf = () => ({
    info: {
      vendor: 'fake',
      architecture: '',
      device: '',
      description: 'counts, computes nothing',
      isFallbackAdapter: false,
      subgroupMinSize: 32,
      subgroupMaxSize: 32,
    },
    features: new Set(features),
    limits: { ...FAKE_LIMITS, ...limits },
    requestDevice: async (descriptor: GPUDeviceDescriptor = {}) => fakeDevice(adapterOf(), descriptor),
  })
  return { requestAdapter: async () => adapterOf(), wgslLanguageFeatures: new Set() } as unknown as GPU
}

function fakeDevice(adapter: { limits: object; info: object }, { label, requiredFeatures = [] }: GPUDeviceDescriptor): GPUDevice {
  const object = (descriptor?: GPUObjectDescriptorBase) => ({ label: descriptor?.label ?? '' })
  const pipeline = (descriptor: GPUComputePipelineDescriptor) => ({ ...object(descriptor), getBindGroupLayout: () => object() })
  const pass = (descriptor?: GPUComputePassDescriptor) => ({
    ...object(descriptor),
    setPipeline() {},
    setBindGroup() {},
    dispatchWorkgroups() {},
    end() {},
  })
  const queue = { label: '', submit() {}, writeBuffer() {}, onSubmittedWorkDone: async () => undefined }
  let lose: (info: object) => void = () => {}
  return {
    label: label ?? '',
    features: new Set(requiredFeatures),
    limits: adapter.limits,
    adapterInfo: adapter.info,
    lost: new Promise((resolve) => (lose = resolve)),
    queue,
    destroy: () => lose({ reason: 'destroyed', message: 'destroyed' }),
    pushErrorScope() {},
    popErrorScope: async () => null,
    addEventListener() {},
    removeEventListener() {},
    createBuffer: fakeBuffer,
    createBindGroup: object,
    createBindGroupLayout: object,
    createPipelineLayout: object,
    createQuerySet: object,
    createShaderModule: (descriptor: GPUShaderModuleDescriptor) => ({
      ...object(descriptor),
      getCompilationInfo: async () => ({ messages: [] }),
    }),
    createComputePipeline: pipeline,
    createComputePipelineAsync: async (descriptor: GPUComputePipelineDescriptor) => pipeline(descriptor),
    createCommandEncoder: (descriptor?: GPUCommandEncoderDescriptor) => ({
      ...object(descriptor),
      beginComputePass: pass,
      copyBufferToBuffer() {},
      clearBuffer() {},
      resolveQuerySet() {},
      finish: object,
    }),
  } as unknown as GPUDevice
}

function fakeBuffer({ size, usage, label = '', mappedAtCreation = false }: GPUBufferDescriptor): GPUBuffer {
  const buffer = {
    size,
    usage,
    label,
    mapState: mappedAtCreation ? 'mapped' : 'unmapped',
    async mapAsync() {
      buffer.mapState = 'mapped'
    },
    getMappedRange: (offset = 0, bytes = size - offset) => new ArrayBuffer(bytes),
    unmap() {
      buffer.mapState = 'unmapped'
    },
    destroy() {},
  }
  return buffer as unknown as GPUBuffer
}
