-- At least a tenth of the audience is left for the text that wins, as the form has asked since there are samples.
alter table campaigns
    drop constraint campaigns_sample_sane,
    add constraint campaigns_sample_sane check (sample_percent between 1 and 90);
