// Reasons of failed calls, as in `reason` of the log, in English and Portuguese.
const REASONS = {
  __proto__: null,
  caller_left: ["The client disconnected", "O programa cliente desconectou"],
  target: ["The path is not valid", "O caminho não é válido"],
  header: ["A header is missing, repeated or malformed", "Um header está ausente, repetido ou malformado"],
  tls_required: ["Plain HTTP on the TLS port", "HTTP sem TLS na porta TLS"],
  path_unknown: ["No such call", "Essa chamada não existe"],
  no_fallback: ["Not translated, and no fallback is configured", "Não é traduzida e não há fallback"],
  method: ["Wrong method", "Método errado"],
  id_unknown: ["Id in the path is unknown", "O id do caminho é desconhecido"],
  zapi_token_wrong: ["Token in the path is wrong", "O token do caminho está errado"],
  looks_swapped: ["Id and token in the path are swapped", "O id e o token do caminho estão trocados"],
  client_token_missing: ["Client token is missing", "Falta o client token"],
  client_token_wrong: ["Client token is wrong", "O client token está errado"],
  content_type: ["Content type is not JSON", "O Content-Type não é JSON"],
  content_encoding: ["Body is compressed", "O corpo está comprimido"],
  body_too_large: ["Body is too large", "O corpo é grande demais"],
  body_timeout: ["Body came too slowly", "O corpo chegou devagar demais"],
  body_incomplete: ["Body ended early", "O corpo terminou antes da hora"],
  body_not_json: ["Body is not a JSON object", "O corpo não é um objeto JSON"],
  no_counterpart: ["Ryze has no such call", "A Ryze não tem essa chamada"],
  contacts_list: ["Ryze cannot change lists of contacts", "A Ryze não altera listas de contatos"],
  budget_exhausted: ["Budget is used up", "A cota acabou"],
  redis: ["Redis of the budget does not respond", "O Redis da cota não responde"],
  not_sent: ["Not sent in time, nothing was changed", "Não foi enviada a tempo; nada mudou"],
  queue_full: ["Too many calls of the instance are waiting", "Há chamadas demais na fila da instância"],
  overloaded: ["Too many connections", "Há conexões demais"],
  stopping: ["The gateway was shutting down", "O gateway estava encerrando"],
  internal: ["A fault of the gateway; see its log", "Falha do gateway; veja o log dele"],
  name_not_known: ["Host name has no address", "O nome do host não tem endereço"],
  connect_refused: ["Connection refused", "Conexão recusada"],
  connect_timeout: ["No connection in time", "Sem conexão a tempo"],
  connect_failed: ["No connection", "Sem conexão"],
  certificate: ["Certificate is not trusted", "O certificado não é confiável"],
  tls: ["TLS handshake failed", "A negociação TLS falhou"],
  connection_closed: ["Connection closed without a response", "A conexão foi fechada sem resposta"],
  timeout: ["No response in time", "Sem resposta a tempo"],
  answer_invalid: ["Response is not valid", "A resposta não é válida"],
  token_wrong: ["Ryze refuses the token", "A Ryze recusa o token"],
  access_denied: ["The token may not use this instance at Ryze", "O token não pode usar essa instância na Ryze"],
  instance_not_known: ["Ryze does not know the instance", "A Ryze não conhece a instância"],
  ryze_rate_limited: ["Rate limited by Ryze", "A Ryze limitou as chamadas"],
  ryze_refused: ["Ryze refuses the request", "A Ryze recusa a requisição"],
  ryze_failed: ["Ryze responds with an error", "A Ryze responde com erro"],
  not_confirmed: ["The change was not confirmed", "A alteração não foi confirmada"],
  other_setting: ["Another setting of the same request failed", "Outra configuração da mesma requisição falhou"],
  whatsapp_disconnected: ["Not connected to WhatsApp", "Não está conectada ao WhatsApp"],
  whatsapp_rate_limited: ["Rate limited by WhatsApp", "O WhatsApp limitou as chamadas"],
  whatsapp_timeout: ["WhatsApp did not respond", "O WhatsApp não respondeu"],
  whatsapp_forbidden: ["WhatsApp forbids it", "O WhatsApp não permite"],
  whatsapp_not_authorized: ["WhatsApp: not authorized", "WhatsApp: não autorizado"],
  whatsapp_not_acceptable: ["WhatsApp: not acceptable", "WhatsApp: valor não aceito"],
  whatsapp_bad_request: ["WhatsApp: bad request", "WhatsApp: requisição inválida"],
  loop: ["The fallback leads back to the gateway", "O fallback leva de volta ao gateway"],
  cut_short: ["The response broke off", "A resposta foi interrompida"],
};

function reasonText(reason) {
  const [kind, field] = reason.split(":");
  if (kind === "field" && field) return text("field", field);
  return REASONS[reason]?.[LANGUAGE] ?? reason;
}

// Why an observed call would have been refused, as in `observed_reason` of the log.
function refusalText(refusal) {
  switch (refusal) {
    case "bad_request": return text("malformed");
    case "unknown_instance": return text("wrong-id");
    case "unknown_path": return reasonText("path_unknown");
    case "wrong_method": return reasonText("method");
    case "unsupported_media_type": return reasonText("content_type");
    case "body_too_slow": return reasonText("body_timeout");
    default: return reasonText(refusal);
  }
}
