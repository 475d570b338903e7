/** Convolution and selective scan: one invocation per channel, row after row of a run, the state in memory. Contracts in ops.ts. */
import { columns } from '../../tensor.ts'
import type { Lowering } from '../plan.ts'
import type { Node } from '../record.ts'
import { ACTIVATIONS, EACH_WORKGROUP } from '../wgsl.ts'

type Of<O extends Node['op']> = Extract<Node, { op: O }>

/** Statements before the rows of a run: `run` is a row of the grid, `c` the channel, `state` where its state begins. */
const begin = (kept: boolean): string => `let c = wg.x * ${EACH_WORKGROUP}u + lane;
if (c >= $channels) { return; }
let at = $runs + wg.y * 4u; let first = host[at + 1u]; let last = first + host[at + 2u];
let state = ${kept ? 'host[at] * $size' : '$scratch + wg.y * $size'} + c;
if (host[at + 3u] == 0u || ${!kept}) { for (var n = 0u; n < $deep; n++) { ${kept ? 'b0' : 'act'}[state + n * $channels] = 0.0; } }`

export function lowerConvolution({ x, weight, bias, batch, state, y }: Of<'convolution'>, to: Lowering): void {
  const kept = state !== undefined
  const s = kept ? 'b0' : 'act'
  const shader = to.shader(`convolution${kept ? ' kept' : ''}${bias ? ' bias' : ''}`, () => ({
    params: 'x y weight bias channels deep size runs scratch',
    bindings: kept ? [['w', 'f32']] : [],
    workgroup: EACH_WORKGROUP,
    module: ACTIVATIONS,
    body: `${begin(kept)}
for (var t = first; t < last; t++) {
  for (var n = 1u; n < $deep; n++) { ${s}[state + (n - 1u) * $channels] = ${s}[state + n * $channels]; }
  ${s}[state + ($deep - 1u) * $channels] = act[$x + t * $channels + c];
  var sum = ${bias ? 'vectors[$bias + c]' : '0.0'};
  for (var n = 0u; n < $deep; n++) { sum += vectors[$weight + n * $channels + c] * ${s}[state + n * $channels]; }
  act[$y + t * $channels + c] = silu(sum);
}`,
  }))
  const [deep, channels] = weight.shape as [number, number]
  const values = { x, y, weight: weight.at, bias: bias?.at ?? 0, channels, deep, size: deep * channels, runs: batch.runs }
  const scratch = kept ? 0 : to.scratch(batch.runCount, deep * channels)
  const buffers = kept ? [state.buffer] : []
  to.dispatch(shader, { ...values, scratch }, [Math.ceil(channels / EACH_WORKGROUP), batch.runCount, 1], buffers)
}

export function lowerScan({ x, step, input, output, logRate, skip, batch, state, y }: Of<'scan'>, to: Lowering): void {
  const kept = state !== undefined
  const s = kept ? 'b0' : 'act'
  const shader = to.shader(`scan${kept ? ' kept' : ''}`, () => ({
    params: 'x y step input output logRate skip channels deep size runs scratch',
    bindings: kept ? [['w', 'f32']] : [],
    workgroup: EACH_WORKGROUP,
    module: `fn softplus(x: f32) -> f32 { let w = exp(-min(abs(x), 87.0)); return max(x, 0.0) + select(log(1.0 + w), w * (1.0 - w * (0.5 - w / 3.0)), w < 0.01); }`,
    body: `${begin(kept)}
for (var t = first; t < last; t++) {
  let u = act[$x + t * $channels + c]; let delta = softplus(act[$step + t * $channels + c]);
  var sum = vectors[$skip + c] * u;
  for (var n = 0u; n < $deep; n++) {
    let decay = exp(max(-87.0, -delta * exp(vectors[$logRate + n * $channels + c])));
    let h = decay * ${s}[state + n * $channels] + delta * act[$input + t * $deep + n] * u;
    ${s}[state + n * $channels] = h;
    sum += act[$output + t * $deep + n] * h;
  }
  act[$y + t * $channels + c] = sum;
}`,
  }))
  const [deep, channels] = logRate.shape as [number, number]
  const values = { x, y, step, input, output, logRate: logRate.at, skip: skip.at, channels, deep, size: deep * channels, runs: batch.runs }
  const scratch = kept ? 0 : to.scratch(batch.runCount, deep * channels)
  const buffers = kept ? [state.buffer] : []
  to.dispatch(shader, { ...values, scratch }, [Math.ceil(columns(x) / EACH_WORKGROUP), batch.runCount, 1], buffers)
}
