/** LayerNorm and RMSNorm over groups of values, one workgroup each; and the same statistics as a prologue of products. Contracts in ops.ts. */
import type { Lowering } from '../plan.ts'
import type { Norm } from '../record.ts'
import { grid, LINEAR, sums, type Variants } from '../wgsl.ts'

export const NORM_WORKGROUP = 64

/**
 * Statements that compute `mean_r` and `factor_r` of rows `bases` of `act`, each `$width` long, with one order of sums wherever they stand.
 * `reduced` has room for one sum per row.
 */
export function statistics(kind: Norm['kind'], bases: readonly string[], reduced: ReturnType<typeof sums>): string {
  const each = (f: (r: number) => string) => bases.map((_, r) => f(r)).join('\n')
  const names = bases.map((_, r) => `sum_${r}`)
  const over = (value: (r: number) => string) => `${each((r) => `var sum_${r} = 0.0;`)}
for (var d = lane; d < $width; d += ${NORM_WORKGROUP}u) {
${each((r) => `{ let v = act[${bases[r]} + d]${value(r)}`)}
}
${reduced.reduce(names)}`
  const means =
    kind === 'layer'
      ? `${each((r) => `var mean_${r} = 0.0;`)}
{ ${over((r) => `; sum_${r} += v; }`)}
${each((r) => `mean_${r} = ${reduced.total(r)} / f32($width);`)}
workgroupBarrier(); }`
      : each((r) => `let mean_${r} = 0.0;`)
  return `${means}
${each((r) => `var factor_${r} = 0.0;`)}
{ ${over((r) => (kind === 'layer' ? ` - mean_${r}; sum_${r} += v * v; }` : `; sum_${r} += v * v; }`))}
${each((r) => `factor_${r} = inverseSqrt(${reduced.total(r)} / f32($width) + $eps);`)}
workgroupBarrier(); }`
}

/** The value `v` of place `d` of row `r`, normed; `gain` and `bias` tell whether there are such vectors. */
export function normed(
  v: string,
  d: string,
  r: number,
  { kind, gain, bias, unitOffset }: Pick<Norm, 'kind' | 'gain' | 'bias' | 'unitOffset'>,
): string {
  const centred = kind === 'layer' ? `(${v} - mean_${r})` : v
  const scaled = `${centred} * factor_${r}`
  const gained = gain ? `${scaled} * ${unitOffset ? `(vectors[$gain + ${d}] + 1.0)` : `vectors[$gain + ${d}]`}` : scaled
  return bias ? `${gained} + vectors[$normBias + ${d}]` : gained
}

/** Parameters of `statistics` and `normed`. */
export const NORM_PARAMS = 'width eps:f gain normBias'

export const normValues = ({ width, eps, gain, bias }: Norm): Record<string, number> => ({
  width,
  eps,
  gain: gain?.at ?? 0,
  normBias: bias?.at ?? 0,
})

/** What the text of a norm depends on. */
export const normKey = ({ kind, gain, bias, unitOffset }: Norm): string =>
  `${kind}${gain ? ' gain' : ''}${bias ? ' bias' : ''}${unitOffset ? ' +1' : ''}`

export const subgroupKey = ({ subgroups }: Variants): string => (subgroups ? 'subgroups' : 'tree')

export function lowerNorm(node: Norm, to: Lowering): void {
  const { variants } = to
  const groups = node.x.count / node.width
  const shader = to.shader(`norm ${normKey(node)} ${subgroupKey(variants)}`, () => {
    const reduced = sums(variants, NORM_WORKGROUP, 1)
    return {
      params: `x y n ${NORM_PARAMS}`,
      workgroup: NORM_WORKGROUP,
      subgroups: variants.subgroups,
      module: reduced.module,
      body: `let row = ${LINEAR};
if (row >= $n) { return; }
let base = $x + row * $width;
${statistics(node.kind, ['base'], reduced)}
for (var d = lane; d < $width; d += ${NORM_WORKGROUP}u) { let v = act[base + d]; act[$y + row * $width + d] = ${normed('v', 'd', 0, node)}; }`,
    }
  })
  to.dispatch(shader, { x: node.x, y: node.y, n: groups, ...normValues(node) }, grid(groups))
}
