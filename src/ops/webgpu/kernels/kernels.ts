/** Which file lowers which node. */
import type { Lowering } from '../plan.ts'
import type { Node } from '../record.ts'
import { lowerAttention } from './attention.ts'
import { lowerAdd, lowerGated, lowerJoin, lowerRope, lowerSelect, lowerUpload, lowerValue } from './elementwise.ts'
import { lowerEmbed } from './embed.ts'
import { lowerMoe, lowerRoute } from './moe.ts'
import { lowerNorm } from './norm.ts'
import type { Product } from './product.ts'
import { lowerConvolution, lowerScan } from './state.ts'
import { lowerProduct } from './tile.ts'

/** A node as it is recorded, or after fusion. */
export type Lowered = Node | Product

const LOWER: { readonly [O in Lowered['op']]: (node: Extract<Lowered, { op: O }>, to: Lowering) => void } = {
  upload: lowerUpload,
  embed: lowerEmbed,
  select: lowerSelect,
  add: lowerAdd,
  value: lowerValue,
  gated: lowerGated,
  join: lowerJoin,
  rope: lowerRope,
  norm: lowerNorm,
  linear: ({ x, part, y }, to) => lowerProduct({ op: 'product', x, parts: [part], ys: [y] }, to),
  product: lowerProduct,
  attention: lowerAttention,
  convolution: lowerConvolution,
  scan: lowerScan,
  route: lowerRoute,
  moe: lowerMoe,
  other: (node, to) => node.lower(to),
}

export const lower = (node: Lowered, to: Lowering): void => (LOWER[node.op] as (node: Lowered, to: Lowering) => void)(node, to)
