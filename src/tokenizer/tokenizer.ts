/**
 * The tokenizer interface: text to ids and ids to text.
 * Text from people, tools or models goes through `encode` and can never become a special token.
 * Only chat templates may call `encodeTemplate`.
 */
export interface Tokenizer {
  /** Number of ids of the tokenizer (the model's embedding may have more rows). */
  readonly vocabSize: number
  /** Spelling -> id of every added token (specials and markers such as `<think>`). */
  readonly specials: ReadonlyMap<string, number>
  /** Ids that the published tokenizer puts before every text (a BOS); `encode` omits them. */
  readonly prefix?: readonly number[]
  /** Ordinary text -> ids. Spellings of special tokens stay text; a lone surrogate becomes U+FFFD. */
  encode(text: string): number[]
  /**
   * Trusted template text -> ids: spellings of added tokens become these tokens.
   * @param untrusted [start, end) ranges of `text` that people, tools or models wrote, sorted and
   * disjoint: no added token may overlap them
   */
  encodeTemplate(text: string, untrusted?: readonly (readonly [start: number, end: number])[]): number[]
  /**
   * Ids -> text. Malformed UTF-8 and unknown ids become U+FFFD. Added tokens are spelled out; with
   * `skipSpecials`, tokens that the published file marks as special (`<|im_end|>`, not `<think>`) are
   * omitted.
   */
  decode(ids: Iterable<number>, options?: { skipSpecials?: boolean }): string
  /** The bytes of one id (for an added token: its spelling in UTF-8). Throws RangeError on an unknown id. */
  bytes(id: number): Uint8Array
  /** Whether the id is an added token, which ordinary text can never produce. */
  isSpecial(id: number): boolean
  /** A decoder for one stream of ids. It holds back only the bytes of an incomplete character. */
  stream(): TextStream
}

/** Incremental decoding of one token stream. */
export interface TextStream {
  /** Text that became complete with this id, possibly ''. */
  push(id: number): string
  /** The rest at the end of the stream; an unfinished character becomes U+FFFD. */
  end(): string
}
