/** Every kernel, in the order of its number in the command queue. */
import { ModuleBuilder } from '../encoder.ts'
import type { Features } from '../features.ts'
import type { Kernel } from '../kernel.ts'
import { KernelModule } from '../simd.ts'
import { add } from './add.ts'
import { attention, storeKeys } from './attention.ts'
import { copy } from './copy.ts'
import { embed } from './embed.ts'
import { gated, gatedPairs } from './gated.ts'
import { gelu } from './gelu.ts'
import { linearGrouped } from './grouped.ts'
import { linear } from './linear.ts'
import { combine, expertLinear } from './moe.ts'
import { layerNorm, rmsNorm } from './norm.ts'
import { packInt8, repackMxfp4 } from './pack.ts'
import { quantize } from './quantize.ts'
import { rope } from './rope.ts'
import { group, route } from './route.ts'
import { softcap } from './softcap.ts'

const named = {
  add,
  attention,
  combine,
  copy,
  embed,
  expertLinear,
  gated,
  gatedPairs,
  gelu,
  group,
  layerNorm,
  linear,
  linearGrouped,
  packInt8,
  quantize,
  repackMxfp4,
  rmsNorm,
  rope,
  route,
  softcap,
  storeKeys,
} satisfies Record<string, Kernel>

export const KERNELS: readonly Kernel[] = Object.values(named)

/** Kernel name -> number in the queue. */
export const OP = Object.fromEntries(Object.keys(named).map((name, index) => [name, index])) as Record<keyof typeof named, number>

/** The module all instances are made of, and the constants it expects in the heap. */
export function buildModule(features: Features, shared: boolean): { bytes: Uint8Array<ArrayBuffer>; constants: Int32Array } {
  const module = new ModuleBuilder()
  const k = new KernelModule(module, features, shared)
  // The kernels that take the time come first: these are optimised from the start (host.ts).
  const first: readonly Kernel[] = [linear, linearGrouped, attention, quantize, gatedPairs]
  for (const kernel of [...first, ...KERNELS.filter((kernel) => !first.includes(kernel))]) kernel.emit(k)
  return { bytes: module.encode(), constants: k.constants() }
}
