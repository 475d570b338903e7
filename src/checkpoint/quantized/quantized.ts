/**
 * Checkpoints whose matrices other programs packed (FP8, AWQ, GPTQ) or `lineage quantize`: the tensors of a packed matrix become one of the published name
 * `….weight`, whose rows are made while loading. All others stay as they are.
 */
import type { Quantization } from '../../architecture/quantization.ts'
import type { Checkpoint } from '../checkpoint.ts'
import { MissingTensorError, WrongFormatError } from '../errors.ts'
import { MatrixCache } from '../fill.ts'
import type { TensorEntry } from '../safetensors.ts'
import type { Folder } from '../source.ts'
import { unpackBlocks } from './blocks.ts'
import { fp8View } from './fp8.ts'
import { type GroupTensors, groupView } from './groups.ts'

const REMEDY = 'The checkpoint is incomplete: pull it again.'

/** @throws CheckpointError that names the tensor */
export async function unpacked(checkpoint: Checkpoint, quantization: Quantization | undefined): Promise<Checkpoint> {
  const tensors = new Map<string, TensorEntry>(checkpoint.tensors)
  if (!quantization) return checkpoint.names || !unpackBlocks(tensors) ? checkpoint : { ...checkpoint, tensors, packed: 'blocks' }
  if (quantization.kind === 'fp8') unpackFp8(tensors, quantization.block)
  else await unpackGroups(tensors, quantization)
  return { ...checkpoint, tensors, packed: quantization.kind.toUpperCase() }
}

/** `….weight` with its `….weight_scale_inv` (or `….weight_scale`); static scales of activations are not needed. */
function unpackFp8(tensors: Map<string, TensorEntry>, block: readonly [number, number] | undefined): void {
  for (const [name, codes] of tensors) {
    if (codes.dtype !== 'F8_E4M3') continue
    const scaleName = [`${name}_scale_inv`, `${name}_scale`].find((one) => tensors.has(one))
    if (scaleName === undefined)
      throw new MissingTensorError({
        file: codes.source.name,
        tensor: name,
        expected: `its scales ${name}_scale_inv`,
        came: 'none',
        remedy: REMEDY,
      })
    const scale = tensors.get(scaleName)!
    tensors.delete(scaleName)
    const stem = name.replace(/weight$/, '')
    for (const unused of ['input_scale', 'activation_scale']) tensors.delete(stem + unused)
    tensors.set(name, fp8View(name, codes, scale, block))
  }
}

const PARTS = ['qzeros', 'scales', 'g_idx'] as const

/** `….qweight` with `….qzeros`, `….scales` and, of GPTQ, `….g_idx`. */
async function unpackGroups(tensors: Map<string, TensorEntry>, quantization: Exclude<Quantization, { kind: 'fp8' }>): Promise<void> {
  const cache = new MatrixCache()
  const views: Promise<TensorEntry>[] = []
  for (const [name, qweight] of [...tensors]) {
    if (!name.endsWith('.qweight')) continue
    const stem = name.slice(0, -'qweight'.length)
    const found: Partial<GroupTensors> = { qweight }
    for (const part of PARTS) {
      const entry = tensors.get(stem + part)
      if (entry) found[part] = entry
      else if (part !== 'g_idx')
        throw new MissingTensorError({
          file: qweight.source.name,
          tensor: stem + part,
          expected: `it beside ${name}`,
          came: 'none',
          remedy: REMEDY,
        })
      tensors.delete(stem + part)
    }
    tensors.delete(name)
    views.push(groupView(`${stem}weight`, found as GroupTensors, quantization, cache))
  }
  // Each reads its list of groups, all at the same time.
  for (const view of await Promise.all(views)) tensors.set(view.name, view)
}

/** Refuses the files of NVIDIA's ModelOpt (FP8 and NVFP4), which say in a file of their own how they are packed. @throws WrongFormatError */
export async function refuseModelOpt(folder: Folder): Promise<void> {
  const file = 'hf_quant_config.json'
  if (!(await folder.list())?.includes(file)) return
  throw new WrongFormatError({
    file: folder.name,
    expected: 'published weights, or FP8, AWQ or GPTQ with a quantization_config in config.json',
    came: `a checkpoint of ModelOpt (${file})`,
    remedy: "Take the authors' own FP8 or bf16 checkpoint of the model, or a GGUF file.",
  })
}
