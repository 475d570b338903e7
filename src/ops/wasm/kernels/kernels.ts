/** Every kernel, and the modules that they are made of. A kernel's number in the command queue is its place in this list. */
import type { Precision } from '../context.ts'
import { ModuleBuilder } from '../encoder.ts'
import type { Features } from '../features.ts'
import { type Format, GROUP_FORMATS, LANE_COLUMNS } from '../formats.ts'
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
import { orderKernel } from './order.ts'
import { packInt8Kernel } from './pack.ts'
import { activationFor, emitRows, emitTiles } from './product.ts'
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
  orderKernel,
]
for (const [number, kernel] of KERNELS.entries()) kernel.number = number

export interface Built {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** What its kernels expect in the heap, and where. */
  readonly constants: Int32Array
  readonly constantsAt: number
  /** Whether it imports the memory of the weights as the first one, and the heap as the second. */
  readonly weightsFirst: boolean
}

/** `place`: which of the areas of constants is its own. */
function build(features: Features, shared: boolean, place: number, weightsFirst: boolean, emit: (k: KernelModule) => void): Built {
  const module = new ModuleBuilder()
  const constantsAt = CONSTANTS + place * CONSTANT_BYTES
  const k = new KernelModule(module, features, shared, constantsAt, weightsFirst)
  emit(k)
  return { bytes: module.encode(), constants: k.constants(), constantsAt, weightsFirst }
}

/** The module of all kernels that do not depend on a grouped format. */
export const buildModule = (features: Features, shared: boolean): Built =>
  build(features, shared, 0, false, (k) => {
    for (const kernel of KERNELS) kernel.emit(k)
  })

/** The modules of one grouped format: its products, and how it is repacked. Made when the first weight of this format is loaded. */
export function buildFormatModules(features: Features, shared: boolean, format: Format, precision: Precision): Built[] {
  const group = GROUP_FORMATS[format]!
  const activation = activationFor(format, precision)
  return [
    build(features, shared, 2 * format, activation === 'i8', (k) => emitRows(k, group, activation)),
    build(features, shared, 2 * format + 1, false, (k) => {
      emitTiles(k, group, activation)
      emitRepack(k, group, LANE_COLUMNS[activation])
    }),
  ]
}
