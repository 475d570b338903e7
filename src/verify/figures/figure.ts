/**
 * A figure of the article *From GPT-2 to gpt-oss* (Raschka 2025), drawn anew from what this program computes. Drawings and
 * sentences are ours; only the subject and the number are those of the article.
 */
import type { About, Sheet } from '../../drawing/sheet.ts'
import type { Backend } from '../../ops/backend.ts'

export interface Figure extends About {
  /** F1 to F24. */
  id: string
  /** Fills the sheet. The backend is only asked for single ops, and is a new one for each figure: its masks of dropout begin anew. */
  draw: (sheet: Sheet, ops: Backend) => void | Promise<void>
}
