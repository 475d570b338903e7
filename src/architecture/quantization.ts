/**
 * `quantization_config` of a published config.json: how other programs packed the matrices. Which tensors are packed, the files say;
 * this says how. Formats: the quantizers of transformers; AutoAWQ (gemm); AutoGPTQ and GPTQModel (checkpoint_format gptq and gptq_v2).
 */
import type { Fields } from './fields.ts'

export type Quantization =
  /** E4M3 bytes with scales for blocks, rows or the whole matrix. */
  | { kind: 'fp8'; block?: readonly [rows: number, columns: number] }
  /** Groups of `groupSize` inputs (null: all) with a scale and a zero point, packed along the outputs. */
  | { kind: 'awq'; bits: 4; groupSize: number | null }
  /** The same, packed along the inputs. `zeroShift`: what the stored zero points lack. `actOrder`: the inputs of a group are listed. */
  | { kind: 'gptq'; bits: 4 | 8; groupSize: number | null; zeroShift: 0 | 1; actOrder: boolean }

const INSTEAD = 'take the published checkpoint, its FP8, AWQ or GPTQ form, or a GGUF file'

/** What the file says; undefined without quantization, and for MXFP4 experts and what `lineage quantize` writes: these have dtypes of their own. @throws ConfigError */
export function quantizationOf(config: Fields): Quantization | undefined {
  if (!config.has('quantization_config')) return undefined
  const said = config.below('quantization_config')
  switch (said.raw('quant_method')) {
    case 'mxfp4':
    case 'lineage': // the names of tensors say all (checkpoint/quantized/blocks.ts)
      return undefined
    case 'fp8':
      if (said.string('fmt', 'e4m3') !== 'e4m3') said.fail('fmt', `expected "e4m3", got ${JSON.stringify(said.raw('fmt'))}; ${INSTEAD}`)
      return { kind: 'fp8', block: blockSize(said) }
    case 'compressed-tensors':
      if (said.raw('format') !== 'float-quantized')
        said.fail('format', `expected "float-quantized" (FP8), got ${JSON.stringify(said.raw('format') ?? null)}; ${INSTEAD}`)
      return { kind: 'fp8' }
    case 'awq': {
      const version = said.string('version', 'gemm')
      if (version.toLowerCase() !== 'gemm') said.fail('version', `expected "gemm", got ${JSON.stringify(version)}; ${INSTEAD}`)
      if (!said.flag('zero_point', true)) said.fail('zero_point', `expected true, got false; ${INSTEAD}`)
      if (said.size('bits', 4) !== 4) said.fail('bits', `expected 4, got ${said.raw('bits')}; ${INSTEAD}`)
      return { kind: 'awq', bits: 4, groupSize: groupSize(said) }
    }
    case 'gptq': {
      const bits = said.size('bits')
      if (bits !== 4 && bits !== 8) return said.fail('bits', `expected 4 or 8, got ${bits}; ${INSTEAD}`)
      const format = said.string('checkpoint_format', 'gptq')
      if (format !== 'gptq' && format !== 'gptq_v2')
        said.fail('checkpoint_format', `expected "gptq" or "gptq_v2", got ${JSON.stringify(format)}; ${INSTEAD}`)
      return {
        kind: 'gptq',
        bits,
        groupSize: groupSize(said),
        zeroShift: format === 'gptq' ? 1 : 0,
        actOrder: said.flag('desc_act', false),
      }
    }
  }
  const method = JSON.stringify(said.raw('quant_method') ?? null)
  return said.fail('quant_method', `expected "fp8", "awq", "gptq" or "mxfp4", got ${method}; ${INSTEAD}`)
}

/** `group_size`; -1 stands for all inputs of a matrix. */
const groupSize = (said: Fields): number | null => (said.raw('group_size') === -1 ? null : said.size('group_size', 128))

function blockSize(said: Fields): readonly [number, number] | undefined {
  if (!said.has('weight_block_size')) return undefined
  const [rows, columns, ...more] = said.array('weight_block_size')
  const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0
  return isSize(rows) && isSize(columns) && more.length === 0
    ? [rows, columns]
    : said.expected('weight_block_size', 'two sizes', said.raw('weight_block_size'))
}
