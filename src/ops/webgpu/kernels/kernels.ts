/** Which file lowers which node. */
import type { Lowering } from '../plan.ts'
import type { Node } from '../record.ts'
import { lowerAttention } from './attention.ts'
import { lowerAdd, lowerGated, lowerJoin, lowerRope, lowerSelect, lowerUpload, lowerValue } from './elementwise.ts'
import { lowerEmbed } from './embed.ts'
import { type FusedMoe, lowerMoe, lowerRoute } from './moe.ts'
import { lowerNorm } from './norm.ts'
import { lowerProduct, type Product } from './product.ts'
import { lowerConvolution, lowerScan } from './state.ts'

export function lower(node: Node | Product | FusedMoe, to: Lowering): void {
  switch (node.op) {
    case 'upload':
      return lowerUpload(node, to)
    case 'embed':
      return lowerEmbed(node, to)
    case 'select':
      return lowerSelect(node, to)
    case 'add':
      return lowerAdd(node, to)
    case 'value':
      return lowerValue(node, to)
    case 'gated':
      return lowerGated(node, to)
    case 'join':
      return lowerJoin(node, to)
    case 'rope':
      return lowerRope(node, to)
    case 'norm':
      return lowerNorm(node, to)
    case 'linear':
      return lowerProduct({ op: 'product', x: node.x, parts: [node.part], ys: [node.y] }, to)
    case 'product':
      return lowerProduct(node, to)
    case 'other':
      return node.lower(to)
    case 'attention':
      return lowerAttention(node, to)
    case 'convolution':
      return lowerConvolution(node, to)
    case 'scan':
      return lowerScan(node, to)
    case 'route':
      return lowerRoute(node, to)
    case 'moe':
      return lowerMoe(node, to)
  }
}
