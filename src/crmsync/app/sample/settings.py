"""The config of the sample company."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.app.sample.company import ZONE
from crmsync.app.sample.people import MAIL_DOMAIN, team_mailboxes

if TYPE_CHECKING:
    from datetime import datetime

_HEAD = """\
# The config of a made-up company, Brightwater, whose CRM is the folder crm/ beside this file.
# Made for {now}: pass the same time with --at to see the same picture.

company:
  name: Brightwater
  email: hello@{domain}
  time_zone: {zone}
  country: CH
  currency: EUR
  locale: en_GB
  postal_address: Brightwater AG, Limmatquai 12, 8001 Zürich, Switzerland

# With real customers leave this out: a new rule is then first shown and contacts nobody.
# Nobody of the sample exists, so its rules start right away.
existing: enrol

rules: rules
segments: segments
templates: templates

# The sample is as old as the time above; with a real CRM, keep the default of 24 hours.
freshness:
  default: 24 hours

teams:
  success: [{success}]
  support: [{support}]

"""

_STREAMS = """\
connections:
  crm:
    connector: files
    path: crm
    streams:
      accounts:
        table: account
        file: accounts.csv
        key: id
        complete: true
        updated_at: updated_at
        merged_into: merged_into
        fields:
          name: name
          domain: website
          owner: owner_id
          primary_contact: primary_contact_id
          tier: tier
          # The CRM's own words on the left, those of the rules on the right.
          status:
            column: status
            values: {Customer: active, Onboarding: onboarding, Churned: churned}
          industry: industry
          country: country
          time_zone: time_zone
          currency: currency
          recurring_revenue: annual_revenue
          customer_since: customer_since
          renewal_date: renewal_date
          do_not_contact: do_not_contact
          created_at: created_at
          updated_at: updated_at
          # A field that only this company has: rules can use it by this name.
          seats: {column: seats, type: integer}
      contacts:
        table: contact
        file: contacts.csv
        key: id
        complete: true
        updated_at: updated_at
        fields:
          account: account_id
          first_name: first_name
          last_name: last_name
          # As the person writes it; where it is empty, the last name alone.
          name: {column: [full_name, last_name]}
          email: email
          role: role
          country: country
          time_zone: time_zone
          locale: locale
          unsubscribed: opted_out
          bounced: bounced
          created_at: created_at
          updated_at: updated_at
      users:
        table: user
        file: users.csv
        key: id
        complete: true
        fields:
          name: name
          email: email
          manager: manager_id
          time_zone: time_zone
          active: active
      activities:
        table: activity
        file: activities.csv
        key: id
        updated_at: updated_at
        fields:
          account: account_id
          contact: contact_id
          owner: owner_id
          kind:
            column: type
            values: {Call: call, Email: email, Meeting: meeting, Note: note, Task: task}
          direction: direction
          at: start
          ended_at: end
          automated: automated
          status: status
          subject: subject
          updated_at: updated_at
      deals:
        table: deal
        file: deals.csv
        key: id
        complete: true
        updated_at: updated_at
        fields:
          account: account_id
          contact: contact_id
          owner: owner_id
          name: name
          kind: kind
          stage: stage
          amount: amount
          currency: currency
          opened_on: opened_on
          close_date: close_date
          open: {column: stage, values: {Closed Won: false, Closed Lost: false, "*": true}}
          won: {column: stage, values: {Closed Won: true, "*": false}}
          updated_at: updated_at
      tickets:
        table: ticket
        file: tickets.csv
        key: id
        complete: true
        updated_at: updated_at
        fields:
          account: account_id
          contact: contact_id
          owner: agent_id
          subject: subject
          topic: topic
          status: status
          priority: priority
          opened_at: opened
          closed_at: closed
          updated_at: updated_at
      # The shop's export: another encoding, semicolons, and dates and amounts as in Germany.
      # One of its rows carries a date that does not exist; `crmsync status` names it.
      orders:
        table: order
        file: orders.csv
        key: id
        encoding: cp1252
        delimiter: ";"
        fields:
          account: account_id
          at: {column: ordered, format: "%d.%m.%Y %H:%M", time_zone: Europe/Berlin}
          amount: {column: amount, decimal: ","}
          currency: currency
          items: items
      subscriptions:
        table: subscription
        file: subscriptions.csv
        key: id
        complete: true
        fields:
          account: account_id
          product: product
          start_date: start_date
          end_date: end_date
          recurring_amount: recurring_amount
          currency: currency
          status: status
      usage:
        table: usage
        file: usage.jsonl
        key: id
        fields:
          account: account_id
          contact: contact_id
          feature: feature
          day: day
          count: count
      feedback:
        table: feedback
        file: feedback.csv
        key: id
        fields:
          account: account_id
          contact: contact_id
          instrument: {column: survey, values: {NPS: nps, CSAT: csat}}
          score: score
          comment: comment
          at: answered_at
      promises:
        table: promise
        file: promises.csv
        key: id
        complete: true
        updated_at: updated_at
        fields:
          account: account_id
          title: title
          due: due
          forecast: forecast
          said_by: said_by
          state: state
          updated_at: updated_at
"""


def sample_config(now: datetime) -> str:
    """The text of ``config.yaml`` for the sample company as of an instant."""
    head = _HEAD.format(
        now=now.isoformat(),
        domain=MAIL_DOMAIN,
        zone=ZONE,
        success=", ".join(team_mailboxes("success")),
        support=", ".join(team_mailboxes("support")),
    )
    return head + _STREAMS
