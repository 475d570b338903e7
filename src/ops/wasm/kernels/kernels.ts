/** Every kernel, and the modules that they are made of. A kernel's number in the command queue is its place in this list. */
import { ModuleBuilder } from '../encoder.ts'
import type { Features } from '../features.ts'
import { type Format, GROUP_FORMATS } from '../formats.ts'
import type { Kernel } from '../kernel.ts'
import { CONSTANT_BYTES, CONSTANTS } from '../layout.ts'
import { KernelModule } from '../simd.ts'
import { addKernel } from './add.ts'
import { attentionKernel, storeKeysKernel } from './attention.ts'
import { copyKernel } from './copy.ts'
import { denseKernel } from './dense.ts'
import { clampKernel, scaleKernel, softcapKernel } from './elementwise.ts'
import { embedKernel } from './embed.ts'
import { gatedKernel, gatedPairsKernel } from './gated.ts'
import { geluKernel } from './gelu.ts'
import { groupedKernel } from './grouped.ts'
import { joinKernel } from './join.ts'
import { combineKernel, expertLinearKernel } from './moe.ts'
import { layerNormKernel, rmsNormKernel } from './norm.ts'
import { packInt8Kernel, repackMxfp4Kernel } from './pack.ts'
import { emitProducts } from './product.ts'
import { quantizeKernel, remainderKernel } from './quantize.ts'
import { emitRepack, repackKernel } from './repack.ts'
import { ropeKernel } from './rope.ts'
import { groupKernel, routeKernel } from './route.ts'
import { convolutionKernel, scanKernel } from './state.ts'

/** Those that take the time come first: V8 optimises the first functions of the module from the start (host.ts). */
export const KERNELS: readonly Kernel[] = [
  denseKernel,
  groupedKernel,
  attentionKernel,
  quantizeKernel,
  gatedPairsKernel,
  addKernel,
  combineKernel,
  copyKernel,
  embedKernel,
  expertLinearKernel,
  gatedKernel,
  geluKernel,
  groupKernel,
  layerNormKernel,
  packInt8Kernel,
  repackKernel,
  repackMxfp4Kernel,
  rmsNormKernel,
  ropeKernel,
  routeKernel,
  softcapKernel,
  storeKeysKernel,
  clampKernel,
  remainderKernel,
  scaleKernel,
  convolutionKernel,
  scanKernel,
  joinKernel,
]
for (const [number, kernel] of KERNELS.entries()) kernel.number = number

interface Built {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** What its kernels expect in the heap, and where. */
  readonly constants: Int32Array
  readonly constantsAt: number
}

function build(features: Features, shared: boolean, constantsAt: number, emit: (k: KernelModule) => void): Built {
  const module = new ModuleBuilder()
  const k = new KernelModule(module, features, shared, constantsAt)
  emit(k)
  return { bytes: module.encode(), constants: k.constants(), constantsAt }
}

/** The module of all kernels that do not depend on a grouped format. */
export const buildModule = (features: Features, shared: boolean): Built =>
  build(features, shared, CONSTANTS, (k) => {
    for (const kernel of KERNELS) kernel.emit(k)
  })

/** The module of one grouped format: its products, and how it is repacked. Made when the first weight of this format is loaded. */
export const buildFormatModule = (features: Features, shared: boolean, format: Format): Built =>
  build(features, shared, CONSTANTS + format * CONSTANT_BYTES, (k) => {
    emitProducts(k, GROUP_FORMATS[format]!)
    emitRepack(k, GROUP_FORMATS[format]!)
  })
