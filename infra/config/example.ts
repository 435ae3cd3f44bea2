/**
 * The worked example of `docs/configuration.md`: a whole stack file, as small as one can be. A test loads it.
 */
export const EXAMPLE_STACK = "example";

export const EXAMPLE = `# yaml-language-server: $schema=docs/stack-config.schema.json
encryptionsalt: v1:hL2KkF8POhY=:v1:Y8ozg4pvrdEm3yyo:0dSh2FQe5OjGyb0Fp3HACrdEQqXNEQ==
config:
  # The site that should take writes.
  heatwave:primary: dal-01
  heatwave:hosts:
    dal-01: # a site's host that runs an app as well
      address: 100.123.47.52
      ssh:
        user: deploy
        hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxI1fr4CXL3nosiErtmiyvZ+sLXMdVNJ4P4LBchPVxR
    chi-02:
      address: 100.68.157.49
      ssh:
        user: deploy
        hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC3qdTub56iMV0Zb0y109dV3QZ/zZItjagvEPKDwV39R
  # The first founds the cluster, the others take a base backup from it.
  heatwave:sites:
    - name: dal-01
      host: dal-01
    - name: chi-02
      host: chi-02
  # One write VIP beside each app.
  heatwave:routers:
    - host: dal-01
  heatwave:images:
    postgres: postgres:18.4-bookworm@sha256:1961f96e6029a02c3812d7cb329a3b03a3ac2bb067058dec17b0f5596aca9296
    pgbouncer: edoburu/pgbouncer:v1.25.2-p0@sha256:7d7a27d9e90985cab5cf42256f5c13a3120baa4b055b69df37beb272b89b2340
    node: node:24-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d
    haproxy: haproxy:3.0-alpine@sha256:7c8dac975b9def049d6585b7efe865486acaa7b6ec5e74eec45f08fde8bb2ad4
  heatwave:postgres:
    parameters:
      shared_buffers: 256MB
      max_slot_wal_keep_size: 16GB
    roles:
      - name: shop
    databases:
      - name: shop_production
        owner: shop
  # Written by \`pulumi config set --secret --path\`, one by one.
  heatwave:secrets:
    superuserPassword:
      secure: v1:rFmtYmD9zME4xIPW:XcnZFf/sZcdlk1qXrU26ARc89vv57ziolKrZNa8fz2JWRO5LAxZr5eJa7fNSQAJf
    replicationPassword:
      secure: v1:PYt6C0If1w3lBkkl:cAFNuwZpOlYJSsmtLKV4Xr00U2HAxxeM15WV3cyNFXkgBuTqSLTYSw1oQy40qihR
    healthPassword:
      secure: v1:FIjdUlFUN5OTfjrm:N2mAUJt3FsRyCp2x/yX/Ex4hMrpmRVShMenZI1zWQhF/FrL/PE/70DaumQ3wPX2z
    peerSecret:
      secure: v1:J4XF3cfrdaikVDAJ:DVpMEya9rNE6vcNHL09zm3W4SRUh3rrB8GwCzAZtSYoyVKONk0rmKlRgcwnvuqoF
    roles:
      shop:
        secure: v1:KYCkB4MwJRV94RZo:89PVyd3KnAISnurpx+sg77g9VBJm9hxTl08noldYXIOWHkikIQi874cRlnxgXj2U
`;
