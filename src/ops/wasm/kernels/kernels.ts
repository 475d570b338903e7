/** Every kernel. A kernel's number in the command queue is its place in this list. */
import { ModuleBuilder } from '../encoder.ts'
import type { Features } from '../features.ts'
import type { Kernel } from '../kernel.ts'
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
import { quantizeKernel, remainderKernel } from './quantize.ts'
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

/** The module all instances are made of, and the constants it expects in the heap. */
export function buildModule(features: Features, shared: boolean): { bytes: Uint8Array<ArrayBuffer>; constants: Int32Array } {
  const module = new ModuleBuilder()
  const k = new KernelModule(module, features, shared)
  for (const kernel of KERNELS) kernel.emit(k)
  return { bytes: module.encode(), constants: k.constants() }
}
