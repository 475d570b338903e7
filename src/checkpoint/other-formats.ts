/**
 * Recognises what is no checkpoint that is read, so that an error can say what lies there and what to do: by the first bytes of a
 * file, or by the names in a folder.
 */
import { asObject, parsed } from '../json/json.ts'
import { MissingFileError, WrongFormatError } from './errors.ts'
import type { Folder } from './source.ts'

/** Bytes of a file that are enough to recognise it. */
export const SNIFFED_BYTES = 512

const AGAIN = 'Download the file again, or pull the model with: lineage pull ID'
const CHOOSE = 'Choose a repository with safetensors files.'

const PICKLE = 'Pickles can run code and are not read. Choose a repository with safetensors files, or convert it with transformers.'

/** How a file begins (a byte per character, or a pattern), what it is, and what to do. */
const CONTENTS: [string | RegExp, string, string][] = [
  ['version https://git-lfs', 'a Git LFS pointer, not the content', 'Fetch the content with "git lfs pull", or with "lineage pull ID".'],
  ['# xet version', 'a Git Xet pointer, not the content', 'Fetch the model with: lineage pull ID'],
  [/^(\.\.\/|\/)*(\.git\/)?annex\/objects\//, 'a git-annex pointer, not the content', 'Fetch the content with: git annex get'],
  [/^\s*(<!--.*?-->\s*)?<(!doctype html|html|head|body)\b/is, 'an HTML page, perhaps of a login or an error', AGAIN],
  [/^\s*<(\?xml|Error>)/i, 'an XML page, perhaps an error of a store', AGAIN],
  ['GGUF', 'a GGUF file', 'Give it a name that ends with .gguf instead of .safetensors or .json.'],
  [/^(tjgg|fmgg|lmgg)/, 'a GGML file', CHOOSE],
  ['PK\x03\x04', 'a ZIP archive, as PyTorch writes .bin and .pt files', PICKLE],
  ['\x80\x02', 'a Python pickle, as PyTorch writes .bin and .pt files', PICKLE],
  ['\x80\x04', 'a Python pickle', PICKLE],
  ['\x80\x05', 'a Python pickle', PICKLE],
  ['\x89HDF', 'an HDF5 file of TensorFlow', CHOOSE],
  ['\x93NUMPY', 'a NumPy array', CHOOSE],
  ['\x1f\x8b', 'a compressed file (gzip)', 'Decompress it first.'],
  ['\x28\xb5\x2f\xfd', 'a compressed file (zstd)', 'Decompress it first.'],
  ['\xfd7zXZ', 'a compressed file (xz)', 'Decompress it first.'],
]

/** Throws when the first bytes of a file are known to be something else than what is looked for. */
export function refuseOtherContent(file: string, head: Uint8Array, expected: string): void {
  const text = String.fromCharCode(...head.subarray(0, SNIFFED_BYTES))
  for (const [begin, came, remedy] of CONTENTS) {
    const recognised = typeof begin === 'string' ? text.startsWith(begin) : begin.test(text)
    if (recognised) throw new WrongFormatError({ file, expected, came, remedy })
  }
  if (head.byteLength >= 8 && head.every((byte) => byte === 0))
    throw new WrongFormatError({ file, expected, came: 'zeros, perhaps of a download that was not finished', remedy: AGAIN })
}

/** Names of files, what they are, and what to do. */
const NAMES: [RegExp, string, string][] = [
  [/\.gguf$/i, 'GGUF', 'Give the path of the GGUF file of the language model.'],
  [/\.(bin|pt|pth|ckpt)$/i, 'PyTorch pickle', PICKLE],
  [/\.onnx(_data)?$/i, 'ONNX', `ONNX files are not read. ${CHOOSE}`],
  [/\.(h5|msgpack|tflite)$/i, 'TensorFlow or Flax', `They are not read. ${CHOOSE}`],
  [/\.(npz|mlx)$/i, 'NumPy or MLX', `They are not read. ${CHOOSE}`],
  [/\.(ggml|llamafile|engine|mlmodel|mlpackage)$/i, 'compiled or GGML', `They are not read. ${CHOOSE}`],
]

/** What a list of names without a readable checkpoint holds instead; undefined when nothing is recognised. */
export function otherFormat(names: readonly string[]): { came: string; remedy: string } | undefined {
  for (const [pattern, kind, remedy] of NAMES) {
    const found = names.filter((name) => pattern.test(name))
    if (found.length > 0) return { came: `${kind} files (${found.slice(0, 3).join(', ')}${found.length > 3 ? ', …' : ''})`, remedy }
  }
  if (names.some((name) => /^consolidated.*\.safetensors$|^params\.json$/.test(name)))
    return { came: "the authors' own layout (consolidated files or params.json)", remedy: 'Choose the layout with config.json.' }
  return undefined
}

const ADAPTER = 'adapter_config.json'

/** Throws when a folder holds an adapter and no model. */
export async function refuseAdapter(folder: Folder): Promise<void> {
  const names = await folder.list()
  if (!names?.some((name) => name === ADAPTER || name.startsWith('adapter_model.'))) return
  if (names.some((name) => /^(?!adapter_).*\.safetensors(\.index\.json)?$/.test(name))) return
  const base = await baseOfAdapter(folder)
  throw new WrongFormatError({
    file: folder.name,
    expected: 'a model',
    came: `an adapter (LoRA) for ${base}`,
    remedy: `Load ${base} with this adapter (--adapter DIR), or merge the adapter into it (lineage merge).`,
  })
}

async function baseOfAdapter(folder: Folder): Promise<string> {
  const config = await folder.open(ADAPTER)
  if (!config) return 'another model'
  try {
    const bytes = new Uint8Array(Math.min(config.size, 1 << 20))
    await config.read(0, bytes)
    const base = asObject(parsed(new TextDecoder().decode(bytes))).base_model_name_or_path
    return typeof base === 'string' && base ? base.slice(0, 200) : 'another model'
  } finally {
    await config.close()
  }
}

/** The error for a folder that lacks a file without which it is no model; says what is there instead. */
export async function missingFrom(
  folder: Folder,
  file: string,
  came = 'nothing at this place',
): Promise<MissingFileError | WrongFormatError> {
  await refuseAdapter(folder)
  const other = otherFormat((await folder.list()) ?? [])
  const place = `${folder.name.replace(/\/$/, '')}/${file}`
  if (other) return new WrongFormatError({ file: place, expected: 'a file of a safetensors checkpoint', ...other })
  return new MissingFileError({
    file: place,
    expected: 'a file',
    came,
    remedy: 'Check the path, or pull the checkpoint again.',
  })
}
