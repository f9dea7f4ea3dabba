package prompts

import "strings"

// words are what synthetic texts are made of: 512 common English words, each of them, after a space, one token for the
// tokenizers of Llama 3, BERT and Cohere (checked when the list was made). So a text of n words comes to about n tokens.
// The list is fixed: what a seed gives depends on it (synthetic.version).
var words = strings.Fields(`
across act after again age ago agree air all almost already also always among and answer appear apple art ask author
away baby back bad ball bar basic be beat beautiful because bed behind believe best between big book born bottom
bread bridge bright bring broad brown build busy call camera camp card case cat cell center change charge cheap
check choice choose church circle city climb coat cold color compare computer condition consider control cool corn
corner could couple cross crowd culture current customer dance dark daughter deal degree describe design detail
develop different dinner divide do doctor dog door double down draw drink drop dry dust duty ear east edge education
egg either electric else end engine enough enter equal even evening event except exercise expect experience explain
express fact fair family famous far fat father feel few field figure fill film find finger fire fish fit five flat
flow flower fly follow food foot forget forward four fresh friend front full fun future game garden gas gate gift
girl glad glass go goal good grass great ground grow guess hair half hall hand happen hard hat have head hear heat
heavy height help here hide hill hit hold holiday horse hospital hot how however human hundred hurry image imagine
inch include indeed industry inside interest into iron it job join joy judge just key kind knee large laugh law lay
lead learn least leave left leg length less let letter lie line list little live look lot loud love lucky lunch
machine main make market marry meat meet member method middle mile million mind miss model money month moon morning
mountain mouth move name neck need new news next no none north nose not notice now offer often old on opposite or
orange order other over park past path pay people person phone plane plant play please plenty port position possible
president problem produce proper pull purpose put quality quarter question quick quiet quite radio rain raise range
rather ready real receive record red reply rest result return ride rise road rock room root rule salt same save say
sea search seat second see seed seem send sentence serve service settle seven shade shake shape sharp she sheet
shine shoe short should shoulder sign silent simple since sister six skill sky slow small snow social society soft
solution son song south space special speed spend spirit spot star station stay steam steel step stone store storm
story straight strange stream street strength stretch student study such sudden suit supply support sure surprise
sweet swim system table tail take taste tax teach tell ten thank the them there thick thin think this thousand three
through throw time tiny today together tone tool top total toward travel triangle trip trouble truck true truth try
turn two under understand up upon very view village voice wait walk wall want warm wash watch wave way weak wear
west wet wheel when where whether which who wide will wind winter wire wise with word work worry write wrong yard
year yes yesterday yet young
`)
