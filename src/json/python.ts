/** JSON as Python's json module writes it: `Infinity`, `-Infinity` and `NaN` stand where JSON knows no number. */

/** A string no published file holds; stands for NaN until the text is parsed. */
const NAN = '\u0000NaN'
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g

/** @throws SyntaxError as JSON.parse does */
export function parsePythonJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    let found = false
    const plain = text.replace(TOKENS, (token) => {
      if (token.startsWith('"')) return token
      found = true
      return token === 'NaN' ? JSON.stringify(NAN) : token.startsWith('-') ? '-1e999' : '1e999'
    })
    if (!found) throw error
    return JSON.parse(plain, (_, value: unknown) => (value === NAN ? Number.NaN : value))
  }
}
