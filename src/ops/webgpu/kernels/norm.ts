/** LayerNorm and RMSNorm over groups of values, one team each; and the same statistics as a prologue of products. Contracts in ops.ts. */
import type { Lowering } from '../plan.ts'
import type { Norm } from '../record.ts'
import { teamGrid, teams, type Variants, workgroupOf } from '../wgsl.ts'

/** Statements that compute `mean_r` and `factor_r` of rows `bases` of `act`, each `$width` long, with one order of sums wherever they stand. */
export function statistics(kind: Norm['kind'], bases: readonly string[]): string {
  const each = (f: (r: number) => string) => bases.map((_, r) => f(r)).join('\n')
  const over = (sum: string, value: (r: number) => string) => `${each((r) => `var ${sum}_${r} = 0.0;`)}
for (var d = member; d < $width; d += members) {
${each((r) => `{ let v = act[${bases[r]} + d]${value(r)}`)}
}`
  const means =
    kind === 'layer'
      ? `${over('total', (r) => `; total_${r} += v; }`)}
${each((r) => `let mean_${r} = teamAdd(total_${r}, lane) / f32($width);`)}`
      : ''
  return `${means}
${over('squares', (r) => (kind === 'layer' ? ` - mean_${r}; squares_${r} += v * v; }` : `; squares_${r} += v * v; }`))}
${each((r) => `let factor_${r} = inverseSqrt(teamAdd(squares_${r}, lane) / f32($width) + $eps);`)}`
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
  const workgroup = workgroupOf(variants, groups)
  const shader = to.shader(`norm ${normKey(node)} ${subgroupKey(variants)} ${workgroup}`, () => {
    const { module, body } = teams(variants, workgroup)
    return {
      params: `x y n ${NORM_PARAMS}`,
      workgroup,
      subgroups: variants.subgroups,
      module,
      body: `${body}
if (team >= $n) { return; }
let base = $x + team * $width;
${statistics(node.kind, ['base'])}
for (var d = member; d < $width; d += members) { let v = act[base + d]; act[$y + team * $width + d] = ${normed('v', 'd', 0, node)}; }`,
    }
  })
  to.dispatch(shader, { x: node.x, y: node.y, n: groups, ...normValues(node) }, teamGrid(variants, groups))
}
