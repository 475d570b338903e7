/** The fields that only a published config.json has: dtypes, token ids, the kinds of layers. The rest is json/fields.ts. */
import { FieldError, isInteger, Fields as JsonFields, LARGEST_SIZE } from '../json/fields.ts'
import type { DType } from './architecture.ts'

/** A config.json that cannot be an architecture. */
export class ConfigError extends FieldError {
  override name = 'ConfigError'
}

/** Layers are objects in memory, so their number is bounded far below other sizes. */
const MOST_LAYERS = 4096
const DTYPES: Record<string, DType> = { float32: 'f32', float16: 'f16', bfloat16: 'bf16' }

export class Fields extends JsonFields {
  override error(field: string, problem: string): ConfigError {
    return new ConfigError(this.file, field, problem)
  }

  layerCount(key: string): number {
    return this.size(key, undefined, MOST_LAYERS)
  }

  /** `dtype` or `torch_dtype`; "auto" means that of the tensors. */
  dtype(otherwise: DType): DType {
    const key = this.spelling('dtype', 'torch_dtype')
    return this.has(key) && this.raw(key) !== 'auto' ? this.choice(key, DTYPES) : otherwise
  }

  /** `eos_token_id`: nothing, an id or a list of ids. */
  tokenIds(key: string): number[] {
    const value = this.raw(key) ?? []
    const ids = Array.isArray(value) ? value : [value]
    return ids.every(isTokenId) ? ids : this.expected(key, 'a token id or a list of token ids', value)
  }

  tokenId(key: string): number | null {
    const value = this.raw(key)
    if (value === undefined) return null
    return isTokenId(value) ? (value as number) : this.expected(key, 'a token id or null', value)
  }

  /** `layer_types`: one known word per layer, or nothing. */
  layerTypes(layers: number): ('sliding' | 'full')[] | null {
    const value = this.raw('layer_types')
    if (value === undefined) return null
    if (!Array.isArray(value)) return this.expected('layer_types', `${layers} entries (one per layer)`, value)
    if (value.length !== layers) this.fail('layer_types', `expected ${layers} entries (one per layer), got ${value.length}`)
    return value.map((entry, index) => {
      if (entry === 'sliding_attention') return 'sliding'
      if (entry === 'full_attention') return 'full'
      return this.expected(`layer_types[${index}]`, '"sliding_attention" or "full_attention"', entry)
    })
  }
}

const isTokenId = (value: unknown): boolean => isInteger(value, 0, LARGEST_SIZE)
