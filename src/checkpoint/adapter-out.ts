/**
 * Changes of low rank -> the tensors and the adapter_config.json of a LoRA directory as PEFT writes it: the inverse of adapter.ts. Where the
 * published model fuses several weights (q, k, v of GPT-2), their products are stacked into one of the summed rank, exactly.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { formOf } from '../architecture/families.ts'
import { tensorNames } from '../architecture/tensor-names.ts'
import type { Json } from '../json/json.ts'
import type { WeightSpec } from '../ops/backend.ts'
import { modulesUnder, type Target } from './adapter.ts'

/** scale·b·a beside an inner weight [(E,) O, I]: a [(E,) n, I], b [(E,) O, n]. */
export interface TrainedAdapter {
  readonly spec: WeightSpec
  readonly rank: number
  readonly a: Float32Array
  readonly b: Float32Array
}

export interface AdapterMeta {
  readonly base: string
  readonly alpha: number
  readonly rankStabilized: boolean
}

export interface PeftTensor {
  readonly name: string
  readonly shape: [number, number]
  readonly values: Float32Array
}

/** One published module with the adapters that belong to it. */
interface Module {
  readonly name: string
  readonly own: { adapter: TrainedAdapter; target: Target }[]
}

/** All adapters have the same rank. @throws RangeError for a weight that PEFT has no module for */
export function peftAdapter(
  architecture: Architecture,
  adapters: readonly TrainedAdapter[],
  { base, alpha, rankStabilized }: AdapterMeta,
): { config: Json; tensors: PeftTensor[] } {
  const modules = modulesOfAll(architecture, adapters)
  const { rank } = adapters[0]!
  const patterns = { rank: {} as Record<string, number>, alpha: {} as Record<string, number> }
  const tensors = modules.flatMap(({ name, own }) => {
    const expert = own[0]!.target.expert === 'all'
    if (!expert && own.length > 1) {
      patterns.rank[tail(name)] = own.length * rank
      patterns.alpha[tail(name)] = alpha * (rankStabilized ? Math.sqrt(own.length) : own.length)
    }
    return expert ? own.flatMap((one, i) => stacked(`${name}${'.base_layer'.repeat(own.length - 1 - i)}`, one)) : fused(name, own)
  })
  const parameters = modules.flatMap(({ name, own }) => {
    return own.flatMap(({ target, adapter }) => (target.expert === 'all' ? [`${tail(name)}.${parameterOf(adapter.spec)}`] : []))
  })
  const plain = modules.filter(({ own }) => own[0]!.target.expert === undefined)
  const config: Json = {
    base_model_name_or_path: base,
    bias: 'none',
    fan_in_fan_out: plain.some(({ own }) => isTransposed(architecture, own[0]!.adapter.spec)),
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: alpha,
    lora_bias: false,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: 'LORA',
    r: rank,
    rank_pattern: patterns.rank,
    alpha_pattern: patterns.alpha,
    target_modules: [...new Set(plain.map(({ name }) => tail(name)))],
    target_parameters: parameters.length > 0 ? [...new Set(parameters)] : null,
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: rankStabilized,
  }
  return { config, tensors: tensors.map((tensor) => ({ ...tensor, name: `base_model.model.${tensor.name}` })) }
}

/** 'model.layers.0.self_attn.q_proj' -> 'self_attn.q_proj' */
const tail = (module: string): string => module.split('.').slice(-2).join('.')
const parameterOf = ({ name }: WeightSpec): string => (name.endsWith('down') ? 'down_proj' : 'gate_up_proj')

/** The names that transformers gives: those of the files, under the prefix that the model puts before them. */
function transformersNames(architecture: Architecture) {
  const form = { ...architecture, tensorLayout: undefined }
  const { prefixes, whole } = formOf(form)!.tensors
  const prefix = prefixes.find((one) => one !== '') ?? ''
  return tensorNames(form, (name) => name === prefix + whole.embed)
}

const isTransposed = (architecture: Architecture, { name }: WeightSpec): boolean =>
  transformersNames(architecture).recipes(name)[0]?.form === 'transposed'

function modulesOfAll(architecture: Architecture, adapters: readonly TrainedAdapter[]): Module[] {
  const names = transformersNames(architecture)
  const modules = new Map<string, Module>()
  for (const adapter of adapters) {
    const [found] = [...modulesUnder(names, adapter.spec)].filter(([, { expert }]) => expert === undefined || expert === 'all')
    if (!found) throw new RangeError(`${adapter.spec.name}: PEFT has no module for this weight of ${architecture.name}`)
    const [name, target] = found
    const module = modules.get(name) ?? { name, own: [] }
    module.own.push({ adapter, target })
    modules.set(name, module)
  }
  return [...modules.values()]
}

/** The products of one module side by side: a [k·n, I] one below the other, b [rows, k·n] with zeros where a weight has no rows. */
function fused(name: string, own: Module['own']): PeftTensor[] {
  const { rows } = own[0]!.target
  const I = own[0]!.adapter.spec.shape.at(-1)!
  const n = own[0]!.adapter.rank
  const width = own.length * n
  const [a, b] = [new Float32Array(width * I), new Float32Array(rows * width)]
  own.forEach(({ adapter, target }, k) => {
    a.set(adapter.a, k * n * I)
    for (let o = 0; o < adapter.spec.shape.at(-2)!; o++) b.set(adapter.b.subarray(o * n, (o + 1) * n), target.row(o) * width + k * n)
  })
  return pair(name, [width, I], a, [rows, width], b)
}

/** Of all experts: a [E·n, I], and b [rows, n·E] in which the columns go rank by rank, and in each through the experts. */
function stacked(name: string, { adapter, target }: Module['own'][0]): PeftTensor[] {
  const [E, O, I] = adapter.spec.shape as [number, number, number]
  const n = adapter.rank
  const b = new Float32Array(target.rows * n * E)
  for (let e = 0; e < E; e++)
    for (let o = 0; o < O; o++) for (let r = 0; r < n; r++) b[target.row(o) * n * E + r * E + e] = adapter.b[(e * O + o) * n + r]!
  return pair(name, [E * n, I], adapter.a, [target.rows, n * E], b)
}

const pair = (name: string, aShape: [number, number], a: Float32Array, bShape: [number, number], b: Float32Array): PeftTensor[] => [
  { name: `${name}.lora_A.weight`, shape: aShape, values: a },
  { name: `${name}.lora_B.weight`, shape: bShape, values: b },
]
