/** Reads little-endian values from bytes in memory. Says how many bytes are missing where they end. */

/** The bytes in memory end before the value; `wanted` bytes from the place where its item began would do for now. */
export class OutOfBytes extends Error {
  readonly wanted: number

  constructor(wanted: number) {
    super('out of bytes')
    this.wanted = wanted
  }
}

// A byte order mark is a character of a vocabulary like others.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

const SHORT_TEXT = 16

export class ByteReader {
  bytes: Uint8Array
  at = 0
  #view: DataView
  /** Where the item begins that is being read. */
  #item = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Marks the beginning of an item and returns its place. */
  begin(): number {
    this.#item = this.at
    return this.at
  }

  /** Replaces the bytes by longer ones and goes on at `at`. */
  extend(bytes: Uint8Array, at: number): void {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = this.#item = at
  }

  /** @throws OutOfBytes unless `count` bytes follow */
  need(count: number): void {
    if (this.at + count > this.bytes.byteLength) throw new OutOfBytes(this.at + count - this.#item)
  }

  #take(count: number): number {
    this.need(count)
    const at = this.at
    this.at += count
    return at
  }

  u8(): number {
    return this.bytes[this.#take(1)]!
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true)
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true)
  }

  f32(): number {
    return this.#view.getFloat32(this.#take(4), true)
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true)
  }

  /** A count or a length of 64 bits; beyond 2^53 not exact, but still larger than any file. */
  count(): number {
    const at = this.#take(8)
    return this.#view.getUint32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true)
  }

  /** UTF-8; bytes that are none become U+FFFD. */
  text(length: number): string {
    const at = this.#take(length)
    // Most entries of a vocabulary are short and ASCII, for which a call of the decoder costs more than the characters.
    if (length <= SHORT_TEXT) {
      let text = ''
      for (let i = at; i < at + length && this.bytes[i]! < 0x80; i++) text += String.fromCharCode(this.bytes[i]!)
      if (text.length === length) return text
    }
    return decoder.decode(this.bytes.subarray(at, at + length))
  }
}
