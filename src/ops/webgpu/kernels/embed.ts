/**
 * Rows of a table, times a factor: one dispatch per piece of the table, each for the rows that lie in it. Ids come with the words of the
 * pass, or lie among the temporaries where a draw has left them, as numbers. Contract in ops.ts.
 */
import { columns } from '../../tensor.ts'
import { EIGHT, elementOf, loadFunction, planeParams, planeValues, unitsOf } from '../formats.ts'
import type { Lowering } from '../plan.ts'
import type { Node } from '../record.ts'
import { EACH_WORKGROUP, eachValue, grid } from '../wgsl.ts'

export function lowerEmbed({ table, index, drawn, rows, scale, y }: Extract<Node, { op: 'embed' }>, to: Lowering): void {
  const { format, pieces } = table
  const width = columns(table)
  const id = drawn ? 'u32(max(0.0, act[$drawn + host[$index + t]]))' : 'host[$index + t]'
  const shader = to.shader(`embed ${format.name}${drawn ? ' of drawn ids' : ''}`, () => ({
    params: `index ${drawn ? 'drawn ' : ''}y n width units first rows scale:f ${planeParams(format, 0)}`,
    bindings: [['r', elementOf(format)]],
    workgroup: EACH_WORKGROUP,
    module: `${EIGHT}\n${loadFunction(format, 0)}`,
    body: eachValue(`let t = i / $units; let u = i % $units; let row = ${id} - $first;
if (row >= $rows) { return; }
let v = load0(row * $units + u); let to = $y + t * $width; let k = u * 8u;
for (var j = 0u; j < 4u; j++) {
  if (k + j < $width) { act[to + k + j] = v.a[j] * $scale; }
  if (k + 4u + j < $width) { act[to + k + 4u + j] = v.b[j] * $scale; }
}`),
  }))
  const n = rows * unitsOf(width)
  for (const piece of pieces) {
    const values = { index, drawn: drawn ?? 0, y, n, width, units: unitsOf(width), first: piece.row, rows: piece.rows, scale }
    to.dispatch(shader, { ...values, ...planeValues(format, 0, piece) }, grid(Math.ceil(n / EACH_WORKGROUP)), [piece.buffer])
  }
}
