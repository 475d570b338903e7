/**
 * Pieces of shader text. A shader has named parameters, written `$name` in its text, which lie in 256 bytes of a uniform buffer; the four
 * fixed bindings (parameters, temporaries, vectors, words of the pass); and further storage bindings `b0`, `b1`, … for weights and caches.
 * Sizes are parameters and not constants, so that few pipelines serve all shapes.
 */

/** What a device offers beyond the baseline, and what the shaders therefore use. */
export interface Variants {
  readonly subgroups: boolean
  /** The largest and the smallest that a subgroup may be. */
  readonly subgroupSize: number
  readonly leastSubgroup: number
}

/** Storage bindings beyond the fixed ones: read only, or read and written. */
export type Access = 'r' | 'w'

export interface ShaderText {
  /** Names every choice that the text depends on. */
  readonly key: string
  /** Names of parameters, separated by spaces; those that end in `:f` are f32. */
  readonly params: string
  /** WGSL element types of the further bindings, with their access. */
  readonly bindings?: readonly (readonly [Access, string])[] | undefined
  readonly workgroup: number
  /** Declarations at module level. */
  readonly module?: string | undefined
  /** The body of the entry point; `wg` workgroup, `groups` number of workgroups, `lane` invocation. */
  readonly body: string
  readonly subgroups?: boolean | undefined
}

export interface Shader {
  readonly key: string
  readonly code: string
  /** Word of each parameter. */
  readonly words: ReadonlyMap<string, { readonly at: number; readonly float: boolean }>
  /** 'r' or 'w' per further binding. */
  readonly access: string
}

export const PARAMETER_BYTES = 256

export function shader(text: ShaderText): Shader {
  const names = text.params.split(' ').filter(Boolean)
  const words = new Map(names.map((name, at) => [name.replace(':f', ''), { at, float: name.endsWith(':f') }]))
  if (names.length > PARAMETER_BYTES / 4) throw new RangeError(`${text.key}: ${names.length} parameters`)
  const filled = (part: string) =>
    part.replace(/\$(\w+)/g, (_, name: string) => {
      const word = words.get(name)
      if (!word) throw new TypeError(`${text.key}: no parameter ${name}`)
      const value = `params.w[${word.at >> 2}].${'xyzw'[word.at & 3]}`
      return word.float ? `bitcast<f32>(${value})` : value
    })
  const bindings = text.bindings ?? []
  const further = bindings.map(
    ([access, type], i) => `@group(0) @binding(${4 + i}) var<storage, ${access === 'r' ? 'read' : 'read_write'}> b${i}: array<${type}>;`,
  )
  const code = `${text.subgroups ? 'enable subgroups;\ndiagnostic(off, subgroup_uniformity);\n' : ''}struct Params { w: array<vec4<u32>, 16> }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read> host: array<u32>;
${further.join('\n')}
${filled(text.module ?? '')}
@compute @workgroup_size(${text.workgroup})
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32${
    text.subgroups ? ', @builtin(subgroup_size) subgroupSize: u32, @builtin(subgroup_invocation_id) subgroupLane: u32' : ''
  }) {
${filled(text.body)}
}
`
  return { key: text.key, code, words, access: bindings.map(([access]) => access).join('') }
}

/** Most workgroups along one side of a grid. */
const LARGEST_SIDE = 65535

/** `count` workgroups as a grid; shaders count them with `LINEAR`. */
export function grid(count: number, z = 1): [number, number, number] {
  if (count <= LARGEST_SIDE) return [Math.max(1, count), 1, z]
  const y = Math.ceil(count / LARGEST_SIDE)
  return [Math.ceil(count / y), y, z]
}

/** The number of a workgroup in the plane of a grid. */
export const LINEAR = 'wg.x + wg.y * groups.x'

export const EACH_WORKGROUP = 64

/** The body of a shader that computes one value per invocation: `i` counts `$n` values. */
export const eachValue = (statements: string): string => `let i = (${LINEAR}) * ${EACH_WORKGROUP}u + lane;
if (i >= $n) { return; }
${statements}`

/** Invocations of a workgroup of teams: 64, or half of that where a dispatch has few teams. */
export const TEAM_WORKGROUP = 64
const FEW_TEAMS = 2048

/** Invocations per workgroup of a dispatch with so many teams. */
export const workgroupOf = ({ subgroups, subgroupSize }: Variants, count: number): number =>
  subgroups && subgroupSize <= TEAM_WORKGROUP / 2 && count < FEW_TEAMS ? TEAM_WORKGROUP / 2 : TEAM_WORKGROUP

/**
 * Teams of invocations that add up what they hold: subgroups of any size, without barriers, or else whole workgroups. `team` is the number
 * of a team in the plane of the grid, `member` an invocation's number in its team of `members`; `teamAdd` and `teamMax` give all members the
 * same. The order of sums depends on the device alone.
 */
export function teams({ subgroups }: Variants, workgroup: number): { module: string; body: string } {
  if (subgroups)
    return {
      module: `fn teamAdd(x: f32, lane: u32) -> f32 { return subgroupAdd(x); }
fn teamMax(x: f32, lane: u32) -> f32 { return subgroupMax(x); }`,
      body: `let members = subgroupSize; let member = subgroupLane;
let team = (${LINEAR}) * (${workgroup}u / subgroupSize) + lane / subgroupSize;`,
    }
  const tree = (name: string, two: string) => `fn ${name}(x: f32, lane: u32) -> f32 {
  partial[lane] = x;
  workgroupBarrier();
  for (var half = ${TEAM_WORKGROUP / 2}u; half > 0u; half >>= 1u) {
    if (lane < half) { let y = partial[lane + half]; partial[lane] = ${two}; }
    workgroupBarrier();
  }
  let total = partial[0];
  workgroupBarrier();
  return total;
}`
  return {
    module: `var<workgroup> partial: array<f32, ${TEAM_WORKGROUP}>;
${tree('teamAdd', 'partial[lane] + y')}
${tree('teamMax', 'max(partial[lane], y)')}`,
    body: `let members = ${TEAM_WORKGROUP}u; let member = lane; let team = ${LINEAR};`,
  }
}

/** Workgroups for so many teams: enough where subgroups are as large as they may be. */
export const teamGrid = (variants: Variants, count: number, z = 1): [number, number, number] =>
  grid(Math.ceil(count / (variants.subgroups ? workgroupOf(variants, count) / variants.subgroupSize : 1)), z)

/** Functions of activations. They never produce an infinity, which WGSL leaves undefined. Erf: Abramowitz & Stegun 7.1.26, 1.5e-7. */
export const ACTIVATIONS = `
fn sigmoid(x: f32) -> f32 { return 1.0 / (1.0 + exp(clamp(-x, -87.0, 87.0))); }
fn silu(x: f32) -> f32 { return x * sigmoid(x); }
fn clampedSilu(x: f32, alpha: f32) -> f32 { return x * sigmoid(alpha * x); }
fn boundedTanh(x: f32) -> f32 { return tanh(clamp(x, -15.0, 15.0)); }
fn erf(x: f32) -> f32 {
  let z = abs(x);
  let t = 1.0 / (1.0 + 0.3275911 * z);
  let y = 1.0 - t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * exp(-min(z * z, 80.0));
  return select(y, -y, x < 0.0);
}
fn geluTanh(x: f32) -> f32 { return 0.5 * x * (1.0 + boundedTanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }
fn geluErf(x: f32) -> f32 { return 0.5 * x * (1.0 + erf(x * 0.7071067811865476)); }
`
