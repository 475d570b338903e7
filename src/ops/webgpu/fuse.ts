/**
 * Rules by which fewer dispatches compute the same. A node becomes a part of the node that reads its result, or of the one whose result
 * it reads, where that result has one reader in the pass and nobody outside can ask for it. What the node read stays in memory until
 * then, because places in memory are given after fusion.
 *
 *   norm -> products              the products norm their rows themselves
 *   products of one input         one dispatch (q, k, v)
 *   gate, up -> gated             one dispatch writes the gated values
 *   product -> activation, factor, soft cap
 *   product or experts -> add     the residual is added where the branch is written
 *   (norm) rope -> attention      queries and keys are placed where they are read
 *   norm -> router -> experts     the router norms its rows and keeps them; the experts choose from its logits
 */
import type { Lowered } from './kernels/kernels.ts'
import type { Product } from './kernels/product.ts'
import type { Node, Norm, Rope, Route } from './record.ts'
import type { Temporary } from './tensor.ts'

/** Temporaries that a node reads. */
export function reads(node: Lowered): readonly Temporary[] {
  switch (node.op) {
    case 'upload':
      return []
    case 'embed':
      return node.drawn ? [node.drawn] : []
    case 'add':
    case 'join':
      return [node.a, node.b]
    case 'gated':
      return [node.gate, node.up]
    case 'attention':
      return [node.q, node.k, ...(node.v ? [node.v] : [])]
    case 'scan':
      return [node.x, node.step, node.input, node.output]
    case 'moe':
      return [node.x, node.route.chosen, node.route.y, node.route.logits, ...(node.residual ? [node.residual.a] : [])]
    case 'product':
      return [node.x, ...(node.residual ? [node.residual.a] : [])]
    case 'other':
      return node.reads
    default:
      return [node.x]
  }
}

/** Most matrices of one dispatch: with the fixed bindings these are six storage bindings. */
const MOST_PARTS = 3

export function fuse(nodes: readonly Node[]): readonly Lowered[] {
  const readers = new Map<Temporary, number>()
  for (const node of nodes) for (const x of reads(node)) readers.set(x, (readers.get(x) ?? 0) + 1)
  const only = (x: Temporary): boolean => readers.get(x) === 1 && !x.open
  /** The nodes so far; undefined where one has gone into another. */
  const out: (Lowered | undefined)[] = []
  /** Where a temporary is made in `out`. */
  const made = new Map<Temporary, number>()
  const at = <O extends Lowered['op']>(x: Temporary, op: O): Extract<Lowered, { op: O }> | undefined => {
    const index = made.get(x)
    const node = index === undefined ? undefined : out[index]
    return node?.op === op ? (node as Extract<Lowered, { op: O }>) : undefined
  }
  const put = (node: Lowered): void => {
    for (const y of 'ys' in node ? node.ys : [node.y]) made.set(y, out.length)
    out.push(node)
  }
  /** Removes the node that made `x`: another one computes it too. */
  const take = (x: Temporary): void => {
    out[made.get(x)!] = undefined
  }
  for (const node of nodes) {
    switch (node.op) {
      case 'linear':
        put({ op: 'product', x: node.x, parts: [node.part], ys: [node.y] })
        break
      case 'gated': {
        const [gate, up] = [at(node.gate, 'product'), at(node.up, 'product')]
        const fits = gate && up && gate !== up && plain(gate) && plain(up) && gate.x === up.x && only(node.gate) && only(node.up)
        if (!fits || !single(gate) || !single(up) || !alike(gate, up)) {
          put(node)
          break
        }
        take(node.gate)
        take(node.up)
        put({ op: 'product', x: gate.x, parts: [...gate.parts, ...up.parts], ys: [node.y], gated: node.activation })
        break
      }
      case 'value': {
        const product = at(node.x, 'product')
        if (!product || product.ys.length > 1 || product.residual || product.gated || !only(node.x)) {
          put(node)
          break
        }
        take(node.x)
        put({ ...product, ys: [node.y], values: [...(product.values ?? []), { kind: node.kind, value: node.value }] })
        break
      }
      case 'add': {
        const residual = { a: node.a, factor: node.factor }
        const product = at(node.b, 'product')
        const moe = at(node.b, 'moe')
        if (node.a === node.b || !only(node.b)) put(node)
        else if (product && product.ys.length === 1 && !product.residual && !product.gated) {
          take(node.b)
          put({ ...product, ys: [node.y], residual })
        } else if (moe && !moe.residual) {
          take(node.b)
          put({ ...moe, y: node.y, residual })
        } else put(node)
        break
      }
      case 'attention': {
        const q = placed(node.q, at, only)
        const k = placed(node.k, at, only)
        // Only rows that are a run by themselves: such a row needs no other key of this batch.
        const { singleCount, rows } = node.batch
        if (singleCount === 0 || !node.cache || !node.v || q.rope?.table !== k.rope?.table) {
          put(node)
          break
        }
        if (singleCount === rows) for (const gone of [...q.gone, ...k.gone]) take(gone)
        put({ ...node, place: { q: q.x, k: k.x, qNorm: q.norm, kNorm: k.norm, rope: q.rope } })
        break
      }
      default:
        put(node)
    }
  }
  return joinRouters(
    joinProducts(
      out.filter((node) => node !== undefined),
      readers,
    ),
    only,
  )
}

const plain = ({ values, residual, gated }: Product): boolean => !values && !residual && !gated
const single = ({ parts }: Product): boolean => parts.length === 1 && parts[0]!.weight.pieces.length === 1
const alike = (a: Product, b: Product): boolean =>
  a.parts[0]!.weight.shape.length === 2 && b.parts[0]!.weight.shape.join() === a.parts[0]!.weight.shape.join()

/** What stands between a product and attention: a norm of heads, a rotation, both or nothing. */
function placed(
  x: Temporary,
  at: <O extends 'rope' | 'norm'>(x: Temporary, op: O) => Extract<Lowered, { op: O }> | undefined,
  only: (x: Temporary) => boolean,
): { x: Temporary; norm: Norm | undefined; rope: Rope | undefined; gone: Temporary[] } {
  const gone: Temporary[] = []
  let current = x
  const rope = only(current) ? at(current, 'rope') : undefined
  if (rope) {
    gone.push(current)
    current = rope.x
  }
  const found = rope && only(current) ? at(current, 'norm') : undefined
  const norm = found?.kind === 'rms' && rope && found.width === rope.headDim ? found : undefined
  if (norm) {
    gone.push(current)
    current = norm.x
  }
  return { x: current, norm, rope, gone }
}

/** Products of one input become one dispatch, with the norm before them where all its readers are products. */
function joinProducts(nodes: readonly Lowered[], readers: ReadonlyMap<Temporary, number>): readonly Lowered[] {
  const joined: Lowered[] = []
  /** The newest product of an input. */
  const newest = new Map<Temporary, number>()
  for (const node of nodes) {
    const index = node.op === 'product' ? newest.get(node.x) : undefined
    const before = index === undefined ? undefined : joined[index]
    if (node.op === 'product' && before?.op === 'product' && mayJoin(before, node)) {
      joined[index!] = { ...before, parts: [...before.parts, ...node.parts], ys: [...before.ys, ...node.ys] }
      continue
    }
    if (node.op === 'product') newest.set(node.x, joined.length)
    joined.push(node)
  }
  const norms = new Map(joined.flatMap((node) => (node.op === 'norm' ? [[node.y, node] as const] : [])))
  const gone = new Set<Lowered>()
  /** How many readers of a norm's result are products, which norm their rows themselves. */
  const inProducts = new Map<Temporary, number>()
  for (const node of joined) if (node.op === 'product') inProducts.set(node.x, (inProducts.get(node.x) ?? 0) + node.parts.length)
  const out = joined.map((node): Lowered => {
    const norm = node.op === 'product' ? norms.get(node.x) : undefined
    if (!norm || node.op !== 'product' || norm.y.open || norm.width !== node.x.shape.at(-1)) return node
    if (readers.get(norm.y) !== inProducts.get(norm.y)) return node
    gone.add(norm)
    return { ...node, x: norm.x, norm }
  })
  return out.filter((node) => !gone.has(node))
}

/** Rows that experts choose for themselves, at most: each team of them chooses anew. */
const MOST_CHOOSING = 8

/** Routers that norm their rows and whose experts choose. */
function joinRouters(nodes: readonly Lowered[], only: (x: Temporary) => boolean): readonly Lowered[] {
  const gone = new Set<Lowered>()
  const routes = new Map<Route, Route>()
  const norms = new Map(nodes.flatMap((node) => (node.op === 'norm' ? [[node.y, node] as const] : [])))
  const moes = new Map(nodes.flatMap((node) => (node.op === 'moe' ? [[node.route, node] as const] : [])))
  const read = new Set<Temporary>()
  for (const node of nodes) {
    if (node.op === 'route') {
      const norm = read.has(node.x) ? undefined : norms.get(node.x)
      const { router, logits, chosen, y } = node
      const moe = moes.get(node)
      const plain = router.kind === 'topkSoftmax' || (router.kind === 'softmaxTopk' && router.normalize && !router.groups)
      const rows = logits.shape[0]! <= MOST_CHOOSING
      const inExperts = plain && rows && moe && !moe.gateUp.adapter && !moe.down.adapter && !chosen.open && only(y)
      const taken = norm && norm.width === node.x.shape.at(-1) && node.weight.pieces.length === 1 ? norm : undefined
      if (taken) gone.add(taken)
      routes.set(node, { ...node, norm: taken, inExperts: Boolean(inExperts) })
    }
    for (const x of reads(node)) read.add(x)
  }
  return nodes
    .filter((node) => !gone.has(node))
    .map((node) => {
      if (node.op === 'route') return routes.get(node)!
      return node.op === 'moe' ? { ...node, route: routes.get(node.route)! } : node
    })
}

const mayJoin = (a: Product, b: Product): boolean =>
  a.x === b.x &&
  plain(a) &&
  plain(b) &&
  single(b) &&
  a.parts.length + b.parts.length <= MOST_PARTS &&
  a.parts.every(({ weight }) => weight.pieces.length === 1 && weight.shape.length === 2) &&
  b.parts[0]!.weight.shape.length === 2
