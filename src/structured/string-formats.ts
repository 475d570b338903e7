/**
 * The values of JSON schema's `format` as patterns. A pattern accepts what the common validators
 * accept of a format, or a part of it, so every text written is valid.
 */
const MONTH = '(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))'
const LEAP_YEAR = '(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)'
const DATE = `(?:(?!0000)[0-9]{4}-${MONTH}|${LEAP_YEAR}-02-29)`
const TIME = String.raw`(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])`
const BYTE = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
const IPV4 = String.raw`${BYTE}(?:\.${BYTE}){3}`
const H = '[0-9A-Fa-f]{1,4}'
const IPV6 =
  `(?:(?:${H}:){7}${H}|(?:${H}:){1,7}:|(?:${H}:){1,6}:${H}|(?:${H}:){1,5}(?::${H}){1,2}|(?:${H}:){1,4}(?::${H}){1,3}|` +
  `(?:${H}:){1,3}(?::${H}){1,4}|(?:${H}:){1,2}(?::${H}){1,5}|${H}:(?::${H}){1,6}|:(?:(?::${H}){1,7}|:))`
// No label begins or ends with a hyphen or has two; the last begins with a letter, as a number at the end means an address.
const WORD = '[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*'
const LAST_WORD = '[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*'
const DOMAIN = String.raw`${WORD}(?:\.${WORD})*\.${LAST_WORD}`
const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
const EMAIL = String.raw`^${ATOM}(?:\.${ATOM})*@${DOMAIN}$`
const REST_OF_LABEL = '(?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){0,62}'
const HOSTNAME = String.raw`^(?:[A-Za-z0-9]${REST_OF_LABEL}\.)+[A-Za-z]${REST_OF_LABEL}$`
const PERCENT = '%[0-9A-Fa-f]{2}'
const PATH = `(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|${PERCENT})*`
const QUERY = String.raw`(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|${PERCENT})*)?(?:#(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|${PERCENT})*)?`
const PORT = '(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}))?'
const HOST = String.raw`(?:${DOMAIN}|localhost|${IPV4}|\[${IPV6}\])`
const URL = `(?:https?|ftp|wss?)://(?:[A-Za-z0-9._~-]+(?::[A-Za-z0-9._~-]*)?@)?${HOST}${PORT}(?:/${PATH})?${QUERY}`
const URI = `^(?:${URL}|(?:mailto|urn|tel|data|sms|geo|news|did|doi|magnet|s3|gs):(?!/)(?=[A-Za-z0-9])${PATH}${QUERY}|file:///${PATH})$`

export const formatPatterns: Readonly<Record<string, string>> = {
  date: `^${DATE}$`,
  time: `^${TIME}$`,
  'date-time': `^${DATE}T${TIME}$`,
  duration: '^P(?!$)(?:[0-9]+W|(?:[0-9]+Y)?(?:[0-9]+M)?(?:[0-9]+D)?(?:T(?=[0-9])(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+S)?)?)$',
  uuid: '^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$',
  ipv4: `^${IPV4}$`,
  ipv6: `^${IPV6}$`,
  email: EMAIL,
  'idn-email': EMAIL,
  hostname: HOSTNAME,
  'idn-hostname': HOSTNAME,
  uri: URI,
  iri: URI,
  url: URI,
  'uri-reference': `^(?:${URI.slice(1, -1)}|(?:/(?!/)${PATH}|[A-Za-z0-9._~-]+(?:/${PATH})?)?${QUERY})$`,
  'iri-reference': `^(?:${URI.slice(1, -1)}|(?:/(?!/)${PATH}|[A-Za-z0-9._~-]+(?:/${PATH})?)?${QUERY})$`,
  'json-pointer': '^(?:/(?:[^~/]|~[01])*)*$',
  'relative-json-pointer': '^(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^~/]|~[01])*)*)$',
  byte: '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$',
}

/** Longest texts of formats that have such a limit. */
export const formatLengths: Readonly<Record<string, number>> = { hostname: 253, 'idn-hostname': 253 }

/** Formats of JSON schema that are asserted by validators and cannot be enforced here. */
export const UNSUPPORTED_FORMATS: readonly string[] = ['regex', 'uri-template']
