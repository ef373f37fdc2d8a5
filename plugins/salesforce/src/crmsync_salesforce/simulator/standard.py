"""The standard objects of an org and their fields, as far as the simulator has them."""

# As the vendor's own descriptions have them; tests hold them against recorded ones.
STANDARD = """
Account 001 Name
  Name string(255) required
  Type picklist(40)
  ParentId reference(Account)
  BillingStreet textarea(255)
  BillingCity string(40)
  BillingState string(80)
  BillingPostalCode string(20)
  BillingCountry string(80)
  Phone phone(40)
  AccountNumber string(40)
  Website url(255)
  Industry picklist(40)
  AnnualRevenue currency
  NumberOfEmployees int
  Description textarea(32000)
  Rating picklist(40)
  OwnerId reference(User) defaulted filled
  MasterRecordId reference(Account) readonly
  LastActivityDate date readonly
  LastViewedDate datetime readonly

Contact 003 Name
  AccountId reference(Account)
  LastName string(80) required
  FirstName string(40)
  Salutation picklist(40)
  Name string(121) readonly filled
  MailingStreet textarea(255)
  MailingCity string(40)
  MailingState string(80)
  MailingPostalCode string(20)
  MailingCountry string(80)
  Phone phone(40)
  MobilePhone phone(40)
  ReportsToId reference(Contact)
  Email email(80) lookup
  Title string(128)
  Department string(80)
  LeadSource picklist(255)
  Birthdate date
  Description textarea(32000)
  OwnerId reference(User) defaulted filled
  MasterRecordId reference(Contact) readonly
  EmailBouncedReason string(255)
  EmailBouncedDate datetime
  IsEmailBounced boolean readonly
  HasOptedOutOfEmail boolean
  LastActivityDate date readonly

Lead 00Q Name
  LastName string(80) required
  FirstName string(40)
  Name string(121) readonly filled
  Company string(255) required
  Email email(80) lookup
  Status picklist(255) defaulted filled
  OwnerId reference(Group,User) defaulted filled
  IsConverted boolean createonly
  MasterRecordId reference(Lead) readonly

User 005 Name permanent
  Username string(80) required
  LastName string(80) required
  FirstName string(40)
  Name string(121) readonly filled
  Email email(128) required
  IsActive boolean
  ManagerId reference(User)
  TimeZoneSidKey picklist(40) defaulted
  UserType picklist(40) readonly

Opportunity 006 Name
  AccountId reference(Account)
  IsPrivate boolean
  Name string(120) required lookup
  Description textarea(32000)
  StageName picklist(255) required
  Amount currency
  Probability percent defaulted
  CloseDate date required
  Type picklist(255)
  NextStep string(255)
  LeadSource picklist(255)
  IsClosed boolean readonly
  IsWon boolean readonly
  OwnerId reference(User) defaulted filled
  ContactId reference(Contact) createonly unrelated

Task 00T Subject
  WhoId reference(Contact,Lead)
  WhatId reference(Account,Asset,Campaign,Case,Contract,Opportunity,Order)
  Subject combobox(255)
  ActivityDate date
  Status picklist(255) defaulted
  Priority picklist(255) defaulted
  IsHighPriority boolean readonly
  OwnerId reference(Group,User) defaulted filled
  Description textarea(32000)
  AccountId reference(Account) readonly
  IsClosed boolean readonly
  CallDurationInSeconds int
  CallType picklist(40)
  CallDisposition string(255)
  CallObject string(255)
  IsArchived boolean readonly
  TaskSubtype picklist(40) createonly
  CompletedDateTime datetime readonly

TaskStatus 01J MasterLabel permanent readonly
  MasterLabel string(255) readonly
  ApiName string(255) readonly lookup
  SortOrder int readonly
  IsDefault boolean readonly
  IsClosed boolean readonly

Event 00U Subject
  WhoId reference(Contact,Lead)
  WhatId reference(Account,Asset,Campaign,Case,Contract,Opportunity,Order)
  Subject combobox(255)
  Location string(255)
  IsAllDayEvent boolean
  ActivityDateTime datetime
  ActivityDate date
  DurationInMinutes int
  StartDateTime datetime
  EndDateTime datetime
  EndDate date readonly
  Description textarea(32000)
  AccountId reference(Account) readonly
  OwnerId reference(Calendar,User) defaulted filled
  IsPrivate boolean
  ShowAs picklist(40) defaulted
  IsChild boolean readonly
  IsGroupEvent boolean readonly
  IsArchived boolean readonly
  EventSubtype picklist(40) createonly

Case 500 CaseNumber unmerged
  CaseNumber string(30) readonly filled defaulted lookup
  ContactId reference(Contact)
  AccountId reference(Account)
  ParentId reference(Case)
  SuppliedEmail email(80)
  Type picklist(40)
  Status picklist(40) defaulted
  Reason picklist(40)
  Origin picklist(40)
  Subject string(255)
  Priority picklist(40) defaulted
  Description textarea(32000)
  IsClosed boolean readonly
  ClosedDate datetime readonly
  OwnerId reference(Group,User) defaulted filled
  MasterRecordId reference(Case) readonly

EmailMessage 02s Subject
  ParentId reference(Case)
  ActivityId reference(Task)
  Subject string(3000)
  TextBody textarea(131072)
  HtmlBody textarea(131072)
  FromAddress email(1000)
  FromName string(1000)
  ToAddress string(4000)
  Incoming boolean
  Status picklist(40) defaulted
  MessageDate datetime
  MessageIdentifier string(765)
  ThreadIdentifier string(765)
  RelatedToId reference(Account,Asset,Campaign,Case,Contract,Opportunity,Order)
  ToIds junctionidlist(Contact,Lead,User) createonly unfiltered
  IsClientManaged boolean

EmailMessageRelation 0EM Id
  EmailMessageId reference(EmailMessage) required createonly
  RelationId reference(Contact,Lead,User) createonly
  RelationType picklist(40) required createonly
  RelationAddress string(1000) createonly

Contract 800 ContractNumber
  ContractNumber string(30) readonly
  AccountId reference(Account) required
  OwnerId reference(User) defaulted filled
  StartDate date
  EndDate date readonly
  ContractTerm int
  Status picklist(40) defaulted
  Description textarea(32000)

Order 801 OrderNumber
  OrderNumber string(30) readonly
  AccountId reference(Account)
  ContractId reference(Contract)
  OwnerId reference(User) defaulted filled
  EffectiveDate date required
  Status picklist(40) required
  TotalAmount currency readonly

Asset 02i Name
  Name string(255) required
  AccountId reference(Account)
  ContactId reference(Contact)
  InstallDate date
  UsageEndDate date
  Status picklist(40)
  Price currency
  Quantity double
  OwnerId reference(User) defaulted filled

Campaign 701 Name
  Name string(80) required
  Status picklist(255)
  IsActive boolean
  OwnerId reference(User) defaulted filled

CampaignMember 00v Name
  CampaignId reference(Campaign) required
  ContactId reference(Contact)
  LeadId reference(Lead)
  Status picklist(40) defaulted
  HasResponded boolean readonly
  FirstRespondedDate date readonly

OpportunityContactRole 00K Role unrestored unsearched
  OpportunityId reference(Opportunity) required createonly
  ContactId reference(Contact) required
  Role picklist(40)
  IsPrimary boolean

AccountHistory 017 Id history
  AccountId reference(Account) readonly
  Field picklist(255) readonly
  OldValue string(255) readonly unfiltered
  NewValue string(255) readonly unfiltered

ContactHistory 017 Id history
  ContactId reference(Contact) readonly
  Field picklist(255) readonly
  OldValue string(255) readonly unfiltered
  NewValue string(255) readonly unfiltered

OpportunityFieldHistory 017 Id history
  OpportunityId reference(Opportunity) readonly
  Field picklist(255) readonly
  OldValue string(255) readonly unfiltered
  NewValue string(255) readonly unfiltered

RecordType 012 Name permanent
  Name string(80) required
  DeveloperName string(80) required
  SobjectType picklist(40) required
  IsActive boolean

Group 00G Name
  Name string(40) required

Calendar 023 Name
  Name string(80) required
"""

SYSTEM = """
  Id id readonly
  IsDeleted boolean readonly
  CreatedDate datetime readonly
  CreatedById reference(User) readonly
  LastModifiedDate datetime readonly
  LastModifiedById reference(User) readonly
  SystemModstamp datetime readonly
"""
