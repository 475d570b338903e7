/**
 * What the rest of the house knows about text: ids in, ids out.
 * Text that comes from people, tools or models goes through `encode` and can never become a special token;
 * only our own templates may call `encodeTemplate`.
 */
export interface Tokenizer {
  /** Number of ids the tokenizer knows (the model's embedding may have more rows). */
  readonly vocabSize: number
  /** Spelling -> id of every added token (specials and markers such as `<think>`). */
  readonly specials: ReadonlyMap<string, number>
  /** Ordinary text -> ids. Spellings of special tokens stay text. */
  encode(text: string): number[]
  /** Trusted template text -> ids: spellings of added tokens become these tokens. */
  encodeTemplate(text: string): number[]
  /** Ids -> text; malformed UTF-8 becomes U+FFFD. Added tokens are spelled out unless `skipSpecials`. */
  decode(ids: Iterable<number>, options?: { skipSpecials?: boolean }): string
  /** The bytes one id stands for (an added token's spelling in UTF-8). Throws RangeError on an unknown id. */
  bytes(id: number): Uint8Array
  /** Whether the id is an added token, which ordinary text can never produce. */
  isSpecial(id: number): boolean
  /** A decoder for one stream: holds back an incomplete character, never finished text. */
  stream(): TextStream
}

/** Incremental decoding of one token stream. */
export interface TextStream {
  /** Text that became complete with this id, possibly ''. */
  push(id: number): string
  /** The rest at the end of the stream; an unfinished character becomes U+FFFD. */
  end(): string
}
