/**
 * The tensor types of GGUF files: number in the file, name, values and bytes of a block, and the dtype that holds the type in
 * memory. A type without a dtype is measured, so that a header can be checked, but its tensors are not read.
 * Source of numbers and sizes: the constants of the `gguf` package, version 0.19.
 */
import type { DType } from '../../architecture/architecture.ts'

export interface GgmlType {
  readonly name: GgmlName
  /** Values of a block. A row holds whole blocks. */
  readonly block: number
  /** Bytes of a block. */
  readonly bytes: number
  /** How the tensor is held in memory; absent where tensors of this type are not read. */
  readonly dtype?: DType
}

export type GgmlName = (typeof TABLE)[number][1]

/** Number, name, values of a block, bytes of a block, dtype. */
const TABLE = [
  [0, 'F32', 1, 4, 'f32'],
  [1, 'F16', 1, 2, 'f16'],
  [2, 'Q4_0', 32, 18, 'q4_0'],
  [3, 'Q4_1', 32, 20, 'q4_1'],
  [6, 'Q5_0', 32, 22, 'q5_0'],
  [7, 'Q5_1', 32, 24, 'q5_1'],
  [8, 'Q8_0', 32, 34, 'q8_0'],
  [9, 'Q8_1', 32, 40],
  [10, 'Q2_K', 256, 84, 'q2_k'],
  [11, 'Q3_K', 256, 110, 'q3_k'],
  [12, 'Q4_K', 256, 144, 'q4_k'],
  [13, 'Q5_K', 256, 176, 'q5_k'],
  [14, 'Q6_K', 256, 210, 'q6_k'],
  [15, 'Q8_K', 256, 292],
  [16, 'IQ2_XXS', 256, 66],
  [17, 'IQ2_XS', 256, 74],
  [18, 'IQ3_XXS', 256, 98],
  [19, 'IQ1_S', 256, 50],
  [20, 'IQ4_NL', 32, 18, 'iq4_nl'],
  [21, 'IQ3_S', 256, 110],
  [22, 'IQ2_S', 256, 82],
  [23, 'IQ4_XS', 256, 136, 'iq4_xs'],
  [24, 'I8', 1, 1],
  [25, 'I16', 1, 2],
  [26, 'I32', 1, 4],
  [27, 'I64', 1, 8],
  [28, 'F64', 1, 8],
  [29, 'IQ1_M', 256, 56],
  [30, 'BF16', 1, 2, 'bf16'],
  [34, 'TQ1_0', 256, 54],
  [35, 'TQ2_0', 256, 66],
  [39, 'MXFP4', 32, 17, 'mxfp4_gguf'],
  [40, 'NVFP4', 64, 36],
  [41, 'Q1_0', 128, 18],
] as const

/** By the number in the file. */
export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map(
  TABLE.map(([id, name, block, bytes, dtype]) => [id, { name, block, bytes, dtype }]),
)

/** By name. */
export const GGML_BY_NAME: ReadonlyMap<string, GgmlType> = new Map([...GGML_TYPES.values()].map((type) => [type.name, type]))

/** The number in the file, by name. */
export const GGML_IDS: ReadonlyMap<GgmlName, number> = new Map(TABLE.map(([id, name]) => [name, id]))

/** The type that holds a dtype as it is; absent for dtypes that no GGUF file has. */
export const GGML_OF_DTYPE: ReadonlyMap<DType, GgmlName> = new Map(
  [...GGML_TYPES.values()].flatMap(({ name, dtype }) => (dtype === undefined ? [] : [[dtype, name]])),
)
