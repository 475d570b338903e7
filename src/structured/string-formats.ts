/**
 * The values of JSON schema's `format` as patterns. A pattern accepts a part of what the format
 * allows (for example no 29 February), so every text written is valid. Other formats are refused.
 */
const MONTH = '(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))'
const DATE = `[0-9]{4}-${MONTH}`
const TIME = String.raw`(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])`
const BYTE = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
// The last label begins with a letter: a name that ends in a number is read as an address.
const WORD = '[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*'
const DOMAIN = String.raw`${WORD}(?:\.${WORD})*\.[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*`
// A label of a host name has at most 63 characters.
const LABEL = '[A-Za-z0-9](?:-?[A-Za-z0-9]){0,14}'
const LAST_LABEL = '[A-Za-z](?:-?[A-Za-z0-9]){0,14}'

export const formatPatterns: Readonly<Record<string, string>> = {
  date: `^${DATE}$`,
  time: `^${TIME}$`,
  'date-time': `^${DATE}T${TIME}$`,
  uuid: '^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
  ipv4: String.raw`^${BYTE}(?:\.${BYTE}){3}$`,
  email: String.raw`^[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@${DOMAIN}$`,
  hostname: String.raw`^${LABEL}(?:\.${LABEL}){0,2}\.${LAST_LABEL}$`,
  uri: `^https?://${DOMAIN}(?:/[A-Za-z0-9_.~-]+)*/?$`,
}
