/**
 * Errors of a checkpoint on disk, one class per cause. Every message names the file, the tensor if one
 * is concerned, what was expected, what came, and what to do.
 */
import { abbreviate } from '../json/json.ts'

/** The facts of a checkpoint error. */
export interface CheckpointProblem {
  /** The file as the caller named it. */
  readonly file: string
  /** The published tensor name, if one tensor is concerned. */
  readonly tensor?: string
  readonly expected: string
  readonly came: string
  /** What the reader of the message can do about it. */
  readonly remedy: string
}

const DAMAGED = 'The file is damaged or was not written as safetensors: download or save it again.'

/** Base class of all errors that this module reports about files. */
export class CheckpointError extends Error {
  readonly file: string
  readonly tensor: string | undefined
  readonly expected: string
  readonly came: string
  readonly remedy: string

  constructor(problem: Omit<CheckpointProblem, 'remedy'> & { remedy?: string }, options?: { cause?: unknown }) {
    const remedy = problem.remedy ?? DAMAGED
    const where = problem.tensor === undefined ? problem.file : `${problem.file}: tensor "${abbreviate(problem.tensor)}"`
    super(`${where}: expected ${problem.expected}, got ${problem.came}. ${remedy}`, options)
    this.name = new.target.name
    this.file = problem.file
    this.tensor = problem.tensor
    this.expected = problem.expected
    this.came = problem.came
    this.remedy = remedy
  }
}

/** The 8-byte length does not fit the file or exceeds the format's limit. Nothing was allocated for it. */
export class HeaderLengthError extends CheckpointError {}
/** The header is not a JSON object of the safetensors form. */
export class CorruptHeaderError extends CheckpointError {}
/** A dimension or an offset is not a whole number from 0 to 2^53 - 1. */
export class InvalidSizeError extends CheckpointError {}
/** A tensor holds a value that no checkpoint of its kind can hold. */
export class UnreadableValueError extends CheckpointError {}
/** A dtype this library does not know. */
export class UnknownDtypeError extends CheckpointError {}
/** Shape x dtype does not equal the number of bytes. */
export class TensorSizeError extends CheckpointError {}
/** A tensor's bytes lie outside the file. */
export class TensorOffsetError extends CheckpointError {}
/** Two tensors share bytes. */
export class OverlapError extends CheckpointError {}
/** Some bytes of the data section belong to no tensor. */
export class HoleError extends CheckpointError {}
/** A name occurs twice in one header, or in two shards. */
export class DuplicateTensorError extends CheckpointError {}
/** The index file is not of the published form. */
export class CorruptIndexError extends CheckpointError {}
/** The index names a file outside the checkpoint's directory. */
export class UnsafePathError extends CheckpointError {}
/** config.json is not JSON. `configFromJson` checks its content and throws ConfigError. */
export class CorruptConfigError extends CheckpointError {}
/** A shard named by the index or implied by the numbering is missing. */
export class MissingShardError extends CheckpointError {}
/** The index names a tensor that its shard does not contain. */
export class MissingTensorError extends CheckpointError {}
/** The checkpoint or one of its files does not exist. */
export class MissingFileError extends CheckpointError {}
/** A file or folder of another kind: a pointer instead of the content, an HTML page, an adapter, GGUF, a pickle. */
export class WrongFormatError extends CheckpointError {}
/** The file ends before the bytes that its header describes (for example, cut after it was opened). */
export class TruncatedFileError extends CheckpointError {}
/** The operating system or the server failed while reading. */
export class ReadFailedError extends CheckpointError {}
/** Published tensors and the architecture disagree: missing, surplus or wrongly shaped tensors, all listed. */
export class WeightsMismatchError extends CheckpointError {}
