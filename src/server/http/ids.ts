/** Ids that nobody can guess: 128 random bits and a prefix that tells what they name. */

export function newId(prefix: string): string {
  return `${prefix}_${crypto.randomUUID().replaceAll('-', '')}`
}

/** OpenAI's chat ids have a dash. */
export function newChatId(prefix: string): string {
  return `${prefix}-${crypto.randomUUID().replaceAll('-', '')}`
}

export const unixSeconds = (): number => Math.floor(Date.now() / 1000)
