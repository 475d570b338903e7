/**
 * AWQ and GPTQ: a number is scale·(code - zero point), with f16 scales and whole zero points for groups of inputs. Published matrices lie with
 * the inputs as rows, several codes to a word:
 *
 *   AWQ   qweight [I, O/8]       the outputs of a word in the order 0 2 4 6 1 3 5 7, the lowest bits first      (AutoAWQ, gemm)
 *   GPTQ  qweight [I·b/32, O]    32/b inputs of one output, the lowest bits first                               (AutoGPTQ)
 *   both  scales [G, O], qzeros [G, O·b/32]; GPTQ: g_idx [I], the group of each input
 *
 * They become blocks of 32 inputs (int4_groups, int8_groups), with the scale and the zero point of the group in every block. Where 32
 * neighbouring inputs do not share a group (act-order, odd sizes) the inputs are put in the order of their groups (`ordered`), for backends
 * that can bring activations into that order; others get rows in f32, without rounding. So does everybody where scales are not f16, and
 * where the model needs a matrix transposed (`plain`).
 */
import type { Quantization } from '../../architecture/quantization.ts'
import { BLOCK_FORMATS } from '../../ops/block-formats.ts'
import { fromBf16, fromF16 } from '../../ops/dtype.ts'
import { size } from '../../ops/tensor.ts'
import { TensorSizeError, UnreadableValueError } from '../errors.ts'
import type { MatrixCache } from '../fill.ts'
import type { PublishedDtype, TensorEntry } from '../safetensors.ts'
import { inRuns, viewOf } from './view.ts'

export interface GroupTensors {
  qweight: TensorEntry
  qzeros: TensorEntry
  scales: TensorEntry
  g_idx?: TensorEntry
}

/** Place of output o mod 8 in a word of AWQ. */
const AWQ_PLACE = [0, 4, 1, 5, 2, 6, 3, 7]
const BLOCK = 32

/** What conversion needs of a matrix: its sizes, and the words of its tensors. */
interface Matrix {
  I: number
  O: number
  bits: number
  qweight: Uint32Array
  qzeros: Uint32Array
  scales: ArrayLike<number>
  /** The group of an input. */
  group: (input: number) => number
}

/** @throws TensorSizeError, UnreadableValueError */
export async function groupView(
  name: string,
  tensors: GroupTensors,
  quantization: Exclude<Quantization, { kind: 'fp8' }>,
  cache: MatrixCache,
): Promise<TensorEntry> {
  const { qweight, qzeros, scales } = tensors
  const { kind, bits } = quantization
  const perWord = 32 / bits
  const [I, O] = kind === 'awq' ? [qweight.shape[0]!, qweight.shape[1]! * perWord] : [qweight.shape[0]! * perWord, qweight.shape[1]!]
  const groupSize = quantization.groupSize ?? I
  const groups = Math.ceil(I / groupSize)
  requireShape(qweight, 'I32', kind === 'awq' ? [I, O / perWord] : [I / perWord, O])
  requireShape(qzeros, 'I32', [groups, O / perWord])
  requireShape(scales, scales.dtype === 'BF16' || scales.dtype === 'F32' ? scales.dtype : 'F16', [groups, O])
  const listed = await listedGroups(tensors.g_idx, I, groups, groupSize)
  requireActOrder(qweight, tensors.g_idx, listed, quantization)
  const group = listed ? (input: number) => listed[input]! : (input: number) => Math.floor(input / groupSize)
  const toCode = kind === 'awq' ? awqCode : gptqCode
  const zeroOf = ({ qzeros, O }: Matrix, g: number, o: number): number => {
    const word = qzeros[g * (O / perWord) + Math.floor(o / perWord)]!
    const place = kind === 'awq' ? AWQ_PLACE[o % 8]! : o % perWord
    return ((word >>> (place * bits)) & ((1 << bits) - 1)) + (kind === 'gptq' ? quantization.zeroShift : 0)
  }
  /** The published tensors in memory: each row of the view needs a column of them. */
  const withMatrix = async (signal: AbortSignal | undefined, convert: (matrix: Matrix) => void) => {
    const held: Record<string, Uint8Array<ArrayBuffer>> = {}
    for (const [key, entry] of Object.entries({ qzeros, scales, qweight }))
      await cache.use(entry, 0, entry.byteLength, signal, (bytes) => {
        if (key !== 'qweight') {
          held[key] = bytes.slice()
          return
        }
        const words = (of: Uint8Array<ArrayBuffer>) => new Uint32Array(of.buffer, of.byteOffset, of.byteLength / 4)
        convert({ I, O, bits, qweight: words(bytes), qzeros: words(held.qzeros!), scales: scaleValues(scales.dtype, held.scales!), group })
      })
  }
  const rowsInBlocks = (dtype: 'int4_groups' | 'int8_groups', width: number, order?: Int32Array) => {
    const { bytes: blockBytes } = BLOCK_FORMATS[dtype]
    const middle = 1 << (bits - 1)
    const rowBytes = (width / BLOCK) * blockBytes
    return viewOf(name, dtype, [O, width], rowBytes, qweight, async (first, count, signal) => {
      const out = new Uint8Array(count * rowBytes)
      await withMatrix(signal, (matrix) => {
        const inputAt = (at: number) => (order ? order[at]! : at)
        const code = (at: number, o: number) => (inputAt(at) < 0 ? 0 : toCode(matrix, inputAt(at), o))
        for (let row = 0, to = 0; row < count; row++)
          for (let at = 0; at < width; at += BLOCK, to += blockBytes) {
            const [g, o] = [group(inputAt(at)), first + row]
            const [scale, shift] = [matrix.scales[g * O + o]!, middle - zeroOf(matrix, g, o)]
            if (shift > 127) throw zeroPointError(qzeros)
            out[to] = scale & 255
            out[to + 1] = scale >>> 8
            out[to + 2] = shift & 255
            if (bits === 4) for (let i = 0; i < 16; i++) out[to + 3 + i] = code(at + i, o) | (code(at + 16 + i, o) << 4)
            else for (let i = 0; i < BLOCK; i++) out[to + 3 + i] = code(at + i, o) ^ 0x80
          }
      })
      return out
    })
  }
  const dtype = bits === 4 ? 'int4_groups' : 'int8_groups'
  const inOrder = I % BLOCK === 0 && groupSize % BLOCK === 0 && !listed
  const plain = viewOf(name, 'F32', [O, I], I * 4, qweight, async (first, count, signal) => {
    const out = new Float32Array(count * I)
    await withMatrix(signal, (matrix) => {
      for (let row = 0; row < count; row++)
        for (let input = 0; input < I; input++) {
          const [g, o] = [group(input), first + row]
          out[row * I + input] = scaleOf(scales.dtype, matrix.scales[g * O + o]!) * (toCode(matrix, input, o) - zeroOf(matrix, g, o))
        }
    })
    return new Uint8Array(out.buffer)
  })
  if (scales.dtype !== 'F16') return plain
  if (inOrder) return { ...rowsInBlocks(dtype, I), plain }
  const order = inRuns(I, BLOCK, group)
  return { ...plain, ordered: { entry: rowsInBlocks(dtype, order.length, order), order } }
}

function zeroPointError({ source, name: tensor }: TensorEntry): UnreadableValueError {
  return new UnreadableValueError({ file: source.name, tensor, expected: 'zero points from 1 to 256', came: '0' })
}

const awqCode = ({ qweight, O }: Matrix, input: number, o: number): number =>
  (qweight[input * (O >> 3) + (o >> 3)]! >>> (AWQ_PLACE[o & 7]! * 4)) & 15

const gptqCode = ({ qweight, O, bits }: Matrix, input: number, o: number): number =>
  bits === 4 ? (qweight[(input >> 3) * O + o]! >>> ((input & 7) * 4)) & 15 : (qweight[(input >> 2) * O + o]! >>> ((input & 3) * 8)) & 255

/** The words of scales: f16 and bf16 bits, or f32 values. */
const scaleValues = (dtype: TensorEntry['dtype'], { buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>) =>
  dtype === 'F32' ? new Float32Array(buffer, byteOffset, byteLength / 4) : new Uint16Array(buffer, byteOffset, byteLength / 2)

const scaleOf = (dtype: TensorEntry['dtype'], word: number): number =>
  dtype === 'F32' ? word : dtype === 'BF16' ? fromBf16(word) : fromF16(word)

/** `g_idx` where it says more than the size of the groups. */
async function listedGroups(list: TensorEntry | undefined, I: number, groups: number, groupSize: number): Promise<Int32Array | undefined> {
  if (!list) return undefined
  requireShape(list, 'I32', [I])
  const bytes = new Uint8Array(list.byteLength)
  await list.source.read(list.offset, bytes)
  const listed = new Int32Array(bytes.buffer)
  const bad = listed.findIndex((group) => group < 0 || group >= groups)
  if (bad >= 0) {
    const came = `${listed[bad]} for input ${bad}`
    throw new UnreadableValueError({ file: list.source.name, tensor: list.name, expected: `groups from 0 to ${groups - 1}`, came })
  }
  return listed.every((group, input) => group === Math.floor(input / groupSize)) ? undefined : listed
}

/** `desc_act` of config.json and the list of groups must say the same. @throws UnreadableValueError */
function requireActOrder(
  { source, name }: TensorEntry,
  list: TensorEntry | undefined,
  listed: Int32Array | undefined,
  quantization: Exclude<Quantization, { kind: 'fp8' }>,
): void {
  if (quantization.kind !== 'gptq' || quantization.actOrder === (listed !== undefined) || (quantization.actOrder && list)) return
  throw new UnreadableValueError({
    file: source.name,
    tensor: list?.name ?? name,
    expected: quantization.actOrder
      ? 'the list g_idx, since "desc_act" of config.json is true'
      : 'groups in order, since "desc_act" of config.json is false',
    came: list ? 'inputs of a group that are no neighbours' : 'none',
    remedy: 'Pull the checkpoint again: its config.json and its weights do not belong together.',
  })
}

function requireShape(entry: TensorEntry, dtype: PublishedDtype, shape: readonly number[]): void {
  if (entry.dtype === dtype && entry.shape.length === shape.length && shape.every((length, axis) => length === entry.shape[axis])) return
  throw new TensorSizeError({
    file: entry.source.name,
    tensor: entry.name,
    expected: `${dtype} [${shape.join(', ')}] (${size(shape)} values)`,
    came: `${entry.dtype} [${entry.shape.join(', ')}]`,
  })
}
