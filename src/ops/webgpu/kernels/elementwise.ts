/** The ops that treat every value alone, as expressions (for fused dispatches too) and as dispatches; rows of temporaries; joined columns. */
import type { Gated } from '../../../architecture/architecture.ts'
import type { Rotation } from '../../ops.ts'
import { columns } from '../../tensor.ts'
import type { Lowering } from '../plan.ts'
import type { Node, ValueKind } from '../record.ts'
import { ACTIVATIONS, EACH_WORKGROUP, eachValue, grid } from '../wgsl.ts'

const each = (count: number): [number, number, number] => grid(Math.ceil(count / EACH_WORKGROUP))

export function valueExpression(kind: ValueKind, x: string, value: string): string {
  switch (kind) {
    case 'scale':
      return `(${x} * ${value})`
    case 'softcap':
      return `(${value} * boundedTanh(${x} / ${value}))`
    case 'clamp':
      return `clamp(${x}, -${value}, ${value})`
    case 'geluTanh':
      return `geluTanh(${x})`
    case 'geluErf':
      return `geluErf(${x})`
  }
}

/** Of a clamped gate `$alpha` and `$limit` are parameters. */
export function gatedExpression(activation: Gated, gate: string, up: string): string {
  switch (activation.kind) {
    case 'swiglu':
      return `silu(${gate}) * (${up})`
    case 'geglu':
      return `${activation.approximation === 'tanh' ? 'geluTanh' : 'geluErf'}(${gate}) * (${up})`
    case 'clampedSwiglu':
      return `clampedSilu(min(${gate}, $limit), $alpha) * (clamp(${up}, -$limit, $limit) + 1.0)`
  }
}

export const gatedParams = (activation: Gated): string => (activation.kind === 'clampedSwiglu' ? 'alpha:f limit:f' : '')

export const gatedValues = (activation: Gated): Record<string, number> =>
  activation.kind === 'clampedSwiglu' ? { alpha: activation.alpha, limit: activation.limit } : {}

export const gatedKey = (activation: Gated): string =>
  `${activation.kind}${'approximation' in activation ? ` ${activation.approximation}` : ''}`

type Of<O extends Node['op']> = Extract<Node, { op: O }>

export function lowerAdd({ a, b, factor, y }: Of<'add'>, to: Lowering): void {
  const shader = to.shader('add', () => ({
    params: 'a b y n factor:f',
    workgroup: EACH_WORKGROUP,
    body: eachValue('act[$y + i] = act[$a + i] + $factor * act[$b + i];'),
  }))
  to.dispatch(shader, { a, b, y, n: y.count, factor }, each(y.count))
}

export function lowerValue({ kind, x, value, y }: Of<'value'>, to: Lowering): void {
  const shader = to.shader(kind, () => ({
    params: 'x y n value:f',
    workgroup: EACH_WORKGROUP,
    module: ACTIVATIONS,
    body: eachValue(`act[$y + i] = ${valueExpression(kind, 'act[$x + i]', '$value')};`),
  }))
  to.dispatch(shader, { x, y, n: y.count, value }, each(y.count))
}

export function lowerGated({ gate, up, activation, y }: Of<'gated'>, to: Lowering): void {
  const shader = to.shader(`gated ${gatedKey(activation)}`, () => ({
    params: `gate up y n ${gatedParams(activation)}`,
    workgroup: EACH_WORKGROUP,
    module: ACTIVATIONS,
    body: eachValue(`act[$y + i] = ${gatedExpression(activation, 'act[$gate + i]', 'act[$up + i]')};`),
  }))
  to.dispatch(shader, { gate, up, y, n: y.count, ...gatedValues(activation) }, each(y.count))
}

export function lowerUpload({ words, y }: Of<'upload'>, to: Lowering): void {
  const shader = to.shader('upload', () => ({
    params: 'words y n',
    workgroup: EACH_WORKGROUP,
    body: eachValue('act[$y + i] = bitcast<f32>(host[$words + i]);'),
  }))
  to.dispatch(shader, { words, y, n: y.count }, each(y.count))
}

export function lowerSelect({ x, index, y }: Of<'select'>, to: Lowering): void {
  if (y.count === 0) return
  const shader = to.shader('select', () => ({
    params: 'x index y n width',
    workgroup: EACH_WORKGROUP,
    body: eachValue('act[$y + i] = act[$x + host[$index + i / $width] * $width + i % $width];'),
  }))
  to.dispatch(shader, { x, index, y, n: y.count, width: columns(y) }, each(y.count))
}

export function lowerJoin({ a, b, heads, y }: Of<'join'>, to: Lowering): void {
  const shader = to.shader('join', () => ({
    params: 'a b y n left right',
    workgroup: EACH_WORKGROUP,
    body: eachValue(`let width = $left + $right; let head = i / width; let at = i % width;
if (at < $left) { act[$y + i] = act[$a + head * $left + at]; } else { act[$y + i] = act[$b + head * $right + at - $left]; }`),
  }))
  const [left, right] = [columns(a) / heads, columns(b) / heads]
  to.dispatch(shader, { a, b, y, n: y.count, left, right }, each(y.count))
}

/** Expressions for place `i` of a head that is rotated: its partner, whether it is the first of the two, and the number of their angle. */
export const pairText = (pairing: Rotation['pairing'], i: string): { partner: string; first: string; angle: string } =>
  pairing === 'halves'
    ? { partner: `select(${i} - half, ${i} + half, ${i} < half)`, first: `${i} < half`, angle: `${i} % half` }
    : { partner: `(${i} ^ 1u)`, first: `(${i} & 1u) == 0u`, angle: `${i} / 2u` }

export function lowerRope({ x, headDim, rotaryDim, pairing, table, y }: Of<'rope'>, to: Lowering): void {
  const { partner, first, angle } = pairText(pairing, 'at')
  const shader = to.shader(`rope ${pairing}`, () => ({
    params: 'x y n width head rotary table',
    workgroup: EACH_WORKGROUP,
    body: eachValue(`let at = i % $head; let v = act[$x + i];
if (at >= $rotary) { act[$y + i] = v; return; }
let half = $rotary / 2u; let row = $table + i / $width * $rotary + ${angle};
let c = bitcast<f32>(host[row]); let s = bitcast<f32>(host[row + half]);
let other = act[$x + i - at + ${partner}];
act[$y + i] = v * c + select(other, -other, ${first}) * s;`),
  }))
  to.dispatch(shader, { x, y, n: y.count, width: columns(x), head: headDim, rotary: rotaryDim, table }, each(y.count))
}
